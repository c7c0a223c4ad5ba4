import "./sockets-environment.ts";
import { StartupError } from "@shardcast/process";
import { libraryProblem } from "../../lifecycle/library-problem.ts";

/**
 * uWebSockets.js. Whether it has a binary for this Node, this processor and this C library only loading it can tell.
 * @throws StartupError at import, in one line that says what to do.
 */
export const library = await import("uWebSockets.js").catch((error: unknown) => {
	throw new StartupError(libraryProblem(error, process), { exitStatus: 2, cause: error });
});
