import { routeProblem } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { ClusterEvent } from "./event-log.ts";

interface RouteReloaderParts {
	/** "" = there is no route module. */
	readonly path: string;
	/** Makes the shards load the module again. */
	readonly apply: () => void;
	readonly log: Pick<Log, "info" | "error">;
	/** Adds an event to the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
}

/** Reloads the module of `--kafka-route` on SIGHUP. If it cannot be loaded, the old one stays, and the log says why, with file and line. */
export class RouteReloader {
	readonly #parts: RouteReloaderParts;

	constructor(parts: RouteReloaderParts) {
		this.#parts = parts;
	}

	/** @returns why the old module stays in use; null when the new one is used. */
	async reload(): Promise<string | null> {
		const { path, apply, log, tell } = this.#parts;
		if (path === "") return null;
		// A serving process continues after any error.
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
