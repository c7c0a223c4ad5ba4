import type { ShardTrouble } from "@shardcast/bus";
import type { TroubleKind } from "../source.ts";

/** Troubles as health shows them. The others end with the record or batch that they befell: they are counted and logged. */
const shown = {
	starting: "kafkaStarting",
	connection: "kafkaConnection",
	credentials: "kafkaCredentials",
	authorization: "kafkaAuthorization",
	topicMissing: "kafkaTopicMissing",
	commit: "kafkaCommit",
	partitionLimit: "kafkaPartitionLimit",
	protocol: "kafkaProtocol",
	worker: "kafkaWorker",
} as const satisfies Partial<Record<TroubleKind | "starting" | "worker", ShardTrouble>>;
type Shown = keyof typeof shown;

/** What of Kafka is wrong at present, for health. */
export class IngestStatus {
	readonly #troubles = new Set<ShardTrouble>();
	readonly #onChange: (troubles: readonly ShardTrouble[]) => void;

	constructor(onChange: (troubles: readonly ShardTrouble[]) => void) {
		this.#onChange = onChange;
	}

	begin(kind: TroubleKind | Shown): void {
		const trouble = shown[kind as Shown];
		if (trouble === undefined || this.#troubles.has(trouble)) return;
		this.#troubles.add(trouble);
		this.#onChange([...this.#troubles]);
	}

	end(kind: TroubleKind | Shown): void {
		if (this.#troubles.delete(shown[kind as Shown])) this.#onChange([...this.#troubles]);
	}

	get any(): boolean {
		return this.#troubles.size > 0;
	}
}
