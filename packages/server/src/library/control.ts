import type { Config } from "@shardcast/config";
import type { DebugProbe, DebugProbes } from "./debug-probes.ts";

interface ControlParts {
	readonly probes: DebugProbes;
	readonly reload: (changes: Partial<Config>) => void;
	readonly reloadRoute: () => Promise<void>;
	readonly reloadCertificates: () => void;
	readonly metrics: () => Promise<string>;
}

/** Inspects and changes a running server. */
export class Control {
	readonly #parts: ControlParts;

	constructor(parts: ControlParts) {
		this.#parts = parts;
	}

	/** @throws Error when the name is taken. `connections` and `total_messages` always exist. */
	registerDebugProbe(name: string, probe: DebugProbe): void {
		this.#parts.probes.register(name, probe);
	}

	/** The values of all probes, by name. */
	stats(): Record<string, unknown> {
		return this.#parts.probes.stats();
	}

	/**
	 * Changes options while the server runs: all of them or, when one is invalid or cannot be changed, none.
	 * @throws ConfigError that names the key.
	 */
	reload(changes: Partial<Config>): void {
		this.#parts.reload(changes);
	}

	/**
	 * Loads the route module (`kafkaRoute`) again, but not the modules that it imports.
	 * @throws ConfigError with file and line when it cannot be loaded; then the old one stays.
	 */
	reloadRoute(): Promise<void> {
		return this.#parts.reloadRoute();
	}

	/**
	 * Reads the certificates (`tlsCert` and others) again at once; otherwise a change is noticed within two seconds. If one is unusable, this is
	 * logged and the old ones stay.
	 */
	reloadCertificates(): void {
		this.#parts.reloadCertificates();
	}

	/** The response of `GET /metrics`, in Prometheus' text format. */
	metrics(): Promise<string> {
		return this.#parts.metrics();
	}
}
