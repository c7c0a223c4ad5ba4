import type { TroubleKind } from "../source.ts";

/** Kinds that end by themselves with the record or batch that they befell: counted and logged, but no state of health. */
const passing: readonly TroubleKind[] = ["offsetReset", "corrupt"];

/** What of Kafka is wrong at present, for health: one sentence for each kind. */
export class IngestStatus {
	readonly #troubles = new Map<TroubleKind | "worker" | "starting", string>();
	readonly #onChange: () => void;

	constructor(onChange: () => void) {
		this.#onChange = onChange;
	}

	begin(kind: TroubleKind | "worker" | "starting", message: string): void {
		if ((passing as readonly string[]).includes(kind) || this.#troubles.get(kind) === message) return;
		this.#troubles.set(kind, message);
		this.#onChange();
	}

	end(kind: TroubleKind | "worker" | "starting"): void {
		if (this.#troubles.delete(kind)) this.#onChange();
	}

	/** Null when all is well. */
	get reason(): string | null {
		if (this.#troubles.size === 0) return null;
		return `kafka: ${[...this.#troubles].map(([kind, message]) => `${kind} (${message})`).join("; ")}`;
	}
}
