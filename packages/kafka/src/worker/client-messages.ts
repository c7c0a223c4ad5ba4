import type { KafkaProducer } from "../client/kafka-producer.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { FromWorker, OutgoingMessage } from "../ingest-messages.ts";
import { publishedHeaders } from "./published-headers.ts";
import { traceHeaders } from "./record-observer.ts";

interface ClientMessagesParts {
	readonly producer: Pick<KafkaProducer, "send">;
	readonly memory: Pick<IngestMemory, "worker">;
	readonly send: (message: FromWorker) => void;
}

/** Writes clients' messages to Kafka and reports each result to the loop. Bound: the producer's; beyond it a message is refused. */
export class ClientMessages {
	readonly #parts: ClientMessagesParts;

	constructor(parts: ClientMessagesParts) {
		this.#parts = parts;
	}

	produce({ id, kind, channels, payload, urgent, trace, sender, expiresAtMs }: OutgoingMessage): void {
		const { producer, memory, send } = this.#parts;
		const done = (error: string | null) => {
			memory.worker.add(error === null ? "produced" : "produceErrors");
			send({ type: "published", ids: [id], error });
		};
		// Keyed by channel, to keep the order of each channel. Messages to everybody are keyed by sender, to keep the order of each sender.
		const key = channels.length > 0 ? channels.join(",") : sender;
		const headers = [...publishedHeaders(kind, channels, sender, urgent), ...traceHeaders(trace)];
		const taken = producer.send({ key, value: payload, headers, expiresAtMs }, done);
		if (!taken) done("too many messages are waiting for Kafka");
	}
}
