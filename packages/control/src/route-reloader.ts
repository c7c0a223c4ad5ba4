import { routeProblem } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { ClusterEvent } from "./event-log.ts";

export interface RouteReloaderParts {
	/** "" = there is no route module. */
	readonly path: string;
	/** Makes the users of the module load it again. */
	readonly apply: () => void;
	readonly log: Pick<Log, "info" | "error">;
	/** Keeps it for the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
}

/** SIGHUP: the module of `--kafka-route` is read again. If it cannot be loaded, the log says why with file and line, and the old one stays. */
export class RouteReloader {
	readonly #parts: RouteReloaderParts;

	constructor(parts: RouteReloaderParts) {
		this.#parts = parts;
	}

	/** @returns why the old one stays; null when the new one is in use. */
	async reload(): Promise<string | null> {
		const { path, apply, log, tell } = this.#parts;
		if (path === "") return null;
		// Whatever it is, a process that serves goes on.
		const problem = await routeProblem(path).catch((error: Error) => `${path}: ${error.message}`);
		if (problem === null) {
			apply();
			const text = `route module ${path} is read again`;
			log.info(text);
			tell("info", text);
		} else {
			const text = `route module not reloaded, the old one stays: ${problem}`;
			log.error(text);
			tell("bad", text);
		}
		return problem;
	}
}
