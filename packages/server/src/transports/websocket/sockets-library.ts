import "./sockets-environment.ts";
import { StartupError } from "@shardcast/process";
import { libraryProblem } from "../../lifecycle/library-problem.ts";

/**
 * uWebSockets.js. Only loading it shows whether it has a binary for this Node, processor and C library.
 * @throws StartupError at import, with one line that says how to fix it.
 */
export const library = await import("uWebSockets.js").catch((error: unknown) => {
	throw new StartupError(libraryProblem(error, process), { exitStatus: 2, cause: error });
});
