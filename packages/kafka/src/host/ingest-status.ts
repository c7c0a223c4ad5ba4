import type { ShardTrouble } from "@shardcast/scoreboard";
import type { TroubleKind } from "../source.ts";

/** Troubles that health shows. The others concern a single record or batch: they are only counted and logged. */
const shown = {
	starting: "kafkaStarting",
	positions: "kafkaPositions",
	connection: "kafkaConnection",
	credentials: "kafkaCredentials",
	authorization: "kafkaAuthorization",
	topicMissing: "kafkaTopicMissing",
	commit: "kafkaCommit",
	partitionLimit: "kafkaPartitionLimit",
	protocol: "kafkaProtocol",
	worker: "kafkaWorker",
	route: "kafkaRoute",
	stalled: "kafkaStalled",
} as const satisfies Partial<Record<TroubleKind | "starting" | "positions" | "worker" | "stalled", ShardTrouble>>;
type Shown = keyof typeof shown;

/** Current troubles with a detail text, which may be empty. */
export type Troubles = ReadonlyMap<ShardTrouble, string>;

/** Current Kafka troubles, for health. */
export class IngestStatus {
	readonly #troubles = new Map<ShardTrouble, string>();
	readonly #onChange: (troubles: Troubles) => void;

	constructor(onChange: (troubles: Troubles) => void) {
		this.#onChange = onChange;
	}

	/** @param detail names the file, topic or broker concerned. */
	begin(kind: TroubleKind | Shown, detail = ""): void {
		const trouble = shown[kind as Shown];
		if (trouble === undefined || this.#troubles.get(trouble) === detail) return;
		this.#troubles.set(trouble, detail);
		this.#onChange(this.#troubles);
	}

	end(kind: TroubleKind | Shown): void {
		if (this.#troubles.delete(shown[kind as Shown])) this.#onChange(this.#troubles);
	}

	get any(): boolean {
		return this.#troubles.size > 0;
	}
}
