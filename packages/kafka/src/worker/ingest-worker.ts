import type { MessagePort } from "node:worker_threads";
import { useChannelHashKey } from "@shardcast/wire";
import { KafkaProducer } from "../client/kafka-producer.ts";
import { KafkaSource } from "../client/kafka-source.ts";
import { rootCause } from "../client/kafkajs-cluster.ts";
import { connectProducer } from "../client/producer-link.ts";
import { HistoryReads } from "../history/history-reads.ts";
import { RangeReader } from "../history/range-reader.ts";
import { IngestMemory } from "../ingest-memory.ts";
import type { FromWorker, IngestTask, ToWorker } from "../ingest-messages.ts";
import { ChannelTemplate } from "../route/channel-template.ts";
import { loadRouteFunction, type RouteFunction } from "../route/route-function.ts";
import type { Source } from "../source.ts";
import { ClientMessages } from "./client-messages.ts";
import { Committer } from "./committer.ts";
import { DeadLetters } from "./dead-letters.ts";
import { RecordObserver } from "./record-observer.ts";
import { RecordRouter } from "./record-router.ts";
import { Reporter } from "./reporter.ts";
import { RingFeed } from "./ring-feed.ts";
import { IngestSink } from "./sink.ts";

/** Limits on records that wait for acknowledgement. Client messages: at least the limits of the loop's queue, plus headers. */
const clientMessagesMax = { recordsMax: 10_000, bytesMax: 24 * 1024 * 1024 };
const deadLettersMax = { recordsMax: 10_000, bytesMax: 8 * 1024 * 1024 };

/**
 * The ingest worker: one task that runs for the life of a worker thread. It ends on the messages `halt` and `finish`, or with its thread.
 * Rejects only if it cannot start: when the route module cannot be loaded or a certificate cannot be read.
 */
export default async function ingest(task: IngestTask): Promise<void> {
	const { options, port } = task;
	useChannelHashKey(task.channelHashKey);
	const memory = IngestMemory.attach(task.memory, task.rowsMax);
	memory.forgetRouteCall();
	const send = (message: FromWorker) => port.postMessage(message);
	const route = options.routePath === null ? null : await firstRoute(options.routePath, memory, send);
	let routesLoaded = 1;
	const reporter = new Reporter((level, fields, message) => send({ type: "log", level, fields, message }));
	const feed = new RingFeed(memory);
	const { publishTopic, deadLetterTopic } = options;
	// Separate producers: a missing or slow dead-letter topic must not delay or fail what clients publish.
	const producerOf = (topic: string | null, bounds: { recordsMax: number; bytesMax: number }) =>
		topic === null ? null : new KafkaProducer({ topic, ...bounds, connect: () => connectProducer(options.connection, topic) });
	const publishing = producerOf(publishTopic, clientMessagesMax);
	const letterProducer = producerOf(deadLetterTopic, deadLettersMax);
	const poisoned = new Set(task.poisoned.map(({ row, offset }) => `${row}/${offset}`));
	const router = new RecordRouter({
		...options,
		template: new ChannelTemplate(options.channel),
		route,
		memory,
		isPoisoned: (row, offset) => poisoned.size > 0 && poisoned.has(`${row}/${offset}`),
		onError: (kind, error, { topic, partition }, { offset }) =>
			reporter.warn(`${kind}Detail`, `route function: ${error instanceof Error ? error.message : String(error)}`, {
				topic,
				partition,
				offset,
			}),
	});
	const messages = publishing === null ? null : new ClientMessages({ producer: publishing, memory, send });
	const letters =
		letterProducer === null || deadLetterTopic === null
			? null
			: new DeadLetters({
					topic: deadLetterTopic,
					producer: letterProducer,
					memory,
					reporter,
					writes: task.writesDeadLetters,
					holdMs: options.deadLetterHoldMs,
				});
	const observer = new RecordObserver(send);
	const sink = new IngestSink({ memory, feed, router, reporter, send, observer, deadLetter: letters?.write ?? null });
	// Loaded only where it is needed: the client of Redis takes memory.
	const link = options.relay === null ? null : (await import("../relay/open-relay.ts")).openRelay(options.relay, memory);
	const source: Source = new KafkaSource(options, sink, link === null ? null : { link, memory });
	let ranges: RangeReader | null = null;
	const history = new HistoryReads({
		reader: () => {
			ranges ??= new RangeReader(options);
			return ranges;
		},
		router,
		memory,
		reporter,
		port,
	});
	const committer = new Committer({
		memory,
		intervalMs: options.commitIntervalMs,
		commit: async (offsets) => {
			await source.commit(offsets);
			sink.healed("commit");
		},
		onError: (error, uncommitted) =>
			sink.trouble("commit", `group ${options.group}, ${uncommitted} records delivered since the last commit: ${rootCause(error).message}`),
	});

	source.start();
	committer.start();
	await new Promise<void>((resolve, reject) => {
		port.on("message", (message: ToWorker) => {
			switch (message.type) {
				case "resolve":
					source.resolve(message.partitions).then(
						(partitions) => {
							send({ type: "resolved", partitions });
							const rows = message.partitions.map(({ row }) => row).filter((row) => !partitions.some((found) => found.row === row));
							if (rows.length > 0) send({ type: "unresolved", rows, message: "partitions without a leader" });
						},
						(error: unknown) =>
							send({ type: "unresolved", rows: message.partitions.map(({ row }) => row), message: rootCause(error).message }),
					);
					break;
				case "assign":
					committer.assign(message.partitions);
					source.assign(message.partitions);
					break;
				case "revoke":
					committer.revoke(message.rows);
					source.revoke(message.rows);
					break;
				case "divide":
					source.divide(message.roles);
					break;
				case "publish":
					for (const outgoing of message.messages) messages!.produce(outgoing);
					break;
				case "history":
					void history.read(message.request);
					break;
				case "observe":
					observer.observe(message.observed);
					break;
				case "writeDeadLetters":
					letters?.takeOver();
					break;
				case "reloadRoute":
					if (options.routePath !== null)
						loadRouteFunction(options.routePath, routesLoaded++).then(
							(function_) => router.useRoute(function_),
							(error: Error) => {
								memory.worker.add("route");
								reporter.warn("route", `cannot reload the route module, the old one stays in use: ${error.message}`);
							},
						);
					break;
				case "halt":
					feed.close();
					source.halt().then(() => send({ type: "halted" }), reject);
					break;
				case "finish":
					observer.flush();
					finish(source, committer, [publishing, letterProducer, ranges], port).then(resolve, reject);
					break;
				default:
					message satisfies never;
			}
		});
	});
}

/** Loads the route module. If that fails, reports why before the task ends. */
async function firstRoute(path: string, memory: IngestMemory, send: (message: FromWorker) => void): Promise<RouteFunction> {
	try {
		const route = await loadRouteFunction(path);
		send({ type: "healed", kind: "route" });
		return route;
	} catch (error) {
		memory.worker.add("route");
		send({ type: "trouble", kind: "route", message: (error as Error).message });
		throw error;
	}
}

async function finish(
	source: Source,
	committer: Committer,
	others: readonly ({ close(): Promise<void> } | null)[],
	port: MessagePort,
): Promise<void> {
	await committer.stop();
	await Promise.all([source.close(), ...others.map((other) => other?.close())]);
	port.close();
}
