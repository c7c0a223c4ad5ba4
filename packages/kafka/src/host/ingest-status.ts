import type { ShardTrouble } from "@shardcast/scoreboard";
import type { TroubleKind } from "../source.ts";

/** Troubles as health shows them. The others end with the record or batch that they befell: they are counted and logged. */
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

/** What is wrong at present, and what there is to say about it; "" = nothing. */
export type Troubles = ReadonlyMap<ShardTrouble, string>;

/** What of Kafka is wrong at present, for health. */
export class IngestStatus {
	readonly #troubles = new Map<ShardTrouble, string>();
	readonly #onChange: (troubles: Troubles) => void;

	constructor(onChange: (troubles: Troubles) => void) {
		this.#onChange = onChange;
	}

	/** @param detail names the thing: a file, a topic, a broker. */
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
