import type { Config } from "@shardcast/config";
import type { DebugProbe, DebugProbes } from "./debug-probes.ts";

interface ControlParts {
	readonly probes: DebugProbes;
	readonly reload: (changes: Partial<Config>) => void;
	readonly reloadRoute: () => Promise<void>;
	readonly reloadCertificates: () => void;
	readonly metrics: () => Promise<string>;
}

/** What a program can ask of its running server, and change about it. */
export class Control {
	readonly #parts: ControlParts;

	constructor(parts: ControlParts) {
		this.#parts = parts;
	}

	/** @throws when the name is taken. `connections` and `total_messages` are there from the start. */
	registerDebugProbe(name: string, probe: DebugProbe): void {
		this.#parts.probes.register(name, probe);
	}

	/** The answers of all probes, by name. */
	stats(): Record<string, unknown> {
		return this.#parts.probes.stats();
	}

	/**
	 * Changes options while the server runs: all of them or, when one can't be changed or is wrong, none.
	 * @throws ConfigError that names the key.
	 */
	reload(changes: Partial<Config>): void {
		this.#parts.reload(changes);
	}

	/**
	 * Reads the route module (`kafkaRoute`) again; what it imports itself is not read again.
	 * @throws ConfigError with file and line when it cannot be loaded; then the old one stays.
	 */
	reloadRoute(): Promise<void> {
		return this.#parts.reloadRoute();
	}

	/**
	 * Reads the certificates (`tlsCert` and others) again at once; otherwise a change is seen within two seconds. What cannot be used is
	 * logged, and the old ones stay.
	 */
	reloadCertificates(): void {
		this.#parts.reloadCertificates();
	}

	/** What `GET /metrics` answers: Prometheus' text format. */
	metrics(): Promise<string> {
		return this.#parts.metrics();
	}
}
