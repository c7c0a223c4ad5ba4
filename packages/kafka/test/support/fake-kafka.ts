import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { batchOf } from "./record-batches.ts";

/** Kafka's error codes. */
const KafkaCode = {
	offsetOutOfRange: 1,
	unknownTopic: 3,
	notLeader: 6,
	topicDenied: 29,
	fencedEpoch: 74,
	unknownEpoch: 75,
	unknownTopicId: 100,
} as const;

const ApiKey = { fetch: 1, listOffsets: 2, metadata: 3, apiVersions: 18 } as const;
/** Bit of the operation "read" in what a broker says that we may do. */
const readBit = 1 << 3;
const describeBit = 1 << 8;
const recordsPerAnswer = 10;
/** How long a fetch that finds nothing is held back. */
const waitMs = 10;

interface FakeRecord {
	/** Of the leader that took it. */
	readonly epoch: number;
	readonly value: string;
	readonly timestampMs: number;
}

/** What each node holds of a partition, and who leads it. */
export class FakePartition {
	leader = 1;
	leaderEpoch = 0;
	readonly #logs = new Map<number, FakeRecord[]>();

	log(node: number): FakeRecord[] {
		let log = this.#logs.get(node);
		if (log === undefined) {
			log = [];
			this.#logs.set(node, log);
		}
		return log;
	}

	/** The leader takes records, and so do the nodes that are in sync. */
	append(values: readonly string[], { inSync = [] as readonly number[], timestampMs = Date.now() } = {}): void {
		const records = values.map((value) => ({ epoch: this.leaderEpoch, value, timestampMs }));
		for (const node of new Set([this.leader, ...inSync])) this.log(node).push(...records);
	}

	elect(node: number): void {
		this.leader = node;
		this.leaderEpoch++;
	}

	/** As brokers do: where the epoch ends in the leader's log, or the one before it that the log has. */
	endOf(epoch: number): { epoch: number; endOffset: number } {
		const log = this.log(this.leader);
		if (epoch === this.leaderEpoch) return { epoch, endOffset: log.length };
		if (epoch > this.leaderEpoch) return { epoch: -1, endOffset: -1 };
		const after = log.findIndex((record) => record.epoch > epoch);
		const endOffset = after < 0 ? log.length : after;
		return { epoch: log[endOffset - 1]?.epoch ?? epoch, endOffset };
	}
}

class FakeTopic {
	readonly name: string;
	readonly id: string;
	readonly partitions: FakePartition[];
	/** What we may do with it. */
	access: "read" | "describe" | "nothing" = "read";

	constructor(name: string, id: string, partitions: number) {
		this.name = name;
		this.id = id;
		this.partitions = Array.from({ length: partitions }, () => new FakePartition());
	}
}

/** Brokers of a few lines that speak as much of Kafka's protocol as a source needs, and lie when told to. On free ports of the loopback. */
export class FakeKafka {
	readonly topics = new Map<string, FakeTopic>();
	readonly ports: number[] = [];
	/** What was asked for, in order. */
	readonly fetches: { node: number; topic: string; partition: number; leaderEpoch: number; offset: number; lastEpoch: number }[] = [];
	/** Requests for metadata that were answered. */
	looks = 0;
	readonly #servers: Server[] = [];
	readonly #sockets = new Set<Socket>();
	#ids = 0;

	static async start(nodes = 1): Promise<FakeKafka> {
		const kafka = new FakeKafka();
		for (let node = 1; node <= nodes; node++) await kafka.#listen(node);
		return kafka;
	}

	get brokers(): string[] {
		return this.ports.map((port) => `127.0.0.1:${port}`);
	}

	/** Also one that is there already: deleted and created again. */
	create(name: string, partitions = 1): FakeTopic {
		const topic = new FakeTopic(name, Buffer.alloc(16, ++this.#ids).toString("base64url"), partitions);
		this.topics.set(name, topic);
		return topic;
	}

	async close(): Promise<void> {
		for (const socket of this.#sockets) socket.destroy();
		await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
	}

	async #listen(node: number): Promise<void> {
		const server = createServer((socket) => {
			this.#sockets.add(socket);
			socket.on("error", () => {});
			socket.once("close", () => this.#sockets.delete(socket));
			let waiting = Buffer.alloc(0);
			socket.on("data", (data: Buffer) => {
				waiting = Buffer.concat([waiting, data]);
				while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE(0)) {
					const end = 4 + waiting.readInt32BE(0);
					void this.#answer(node, waiting.subarray(4, end), socket);
					waiting = waiting.subarray(end);
				}
			});
		}).listen(0, "127.0.0.1");
		await once(server, "listening");
		this.#servers.push(server);
		this.ports.push((server.address() as { port: number }).port);
	}

	async #answer(node: number, bytes: Buffer, socket: Socket): Promise<void> {
		const request = new Words(bytes);
		const [apiKey, apiVersion, correlation] = [request.i16(), request.i16(), request.i32()];
		request.fixedText();
		const body = await this.#body(node, apiKey, apiVersion, request);
		const head = Buffer.alloc(8);
		head.writeInt32BE(4 + body.length, 0);
		head.writeInt32BE(correlation, 4);
		if (!socket.destroyed) socket.write(Buffer.concat([head, body]));
	}

	async #body(node: number, apiKey: number, apiVersion: number, request: Words): Promise<Buffer> {
		const [, , versionMax] = versions.find(([key]) => key === apiKey) ?? [0, 0, -1];
		if (apiVersion > versionMax) throw new Error(`the fake brokers know no request ${apiKey} of version ${apiVersion}`);
		switch (apiKey) {
			case ApiKey.metadata:
				return this.#metadata(request);
			case ApiKey.listOffsets:
				return this.#listOffsets(request);
			case ApiKey.fetch:
				return this.#fetch(node, request);
			default:
				return Buffer.concat([i16(0), fixedList(versions.map(([key, min, max]) => Buffer.concat([i16(key), i16(min), i16(max)]))), i32(0)]);
		}
	}

	#metadata(request: Words): Buffer {
		this.looks++;
		request.tags();
		const count = request.uvarint() - 1;
		const asked = Array.from({ length: Math.max(count, 0) }, () => {
			request.take(16);
			const name = request.text();
			request.tags();
			return name;
		});
		request.take(1);
		const tellsOperations = request.take(1)[0] === 1;
		// All that there are: of those that we may not see, not even the names.
		const all = [...this.topics.values()].filter(({ access }) => access !== "nothing").map(({ name }) => name);
		const brokers = this.ports.map((port, index) => Buffer.concat([i32(index + 1), text("127.0.0.1"), i32(port), text(null), noTags]));
		const topics = (count < 0 ? all : asked).map((name) => {
			const topic = this.topics.get(name);
			const isVisible = topic !== undefined && topic.access !== "nothing";
			const code = isVisible ? 0 : topic === undefined ? KafkaCode.unknownTopic : KafkaCode.topicDenied;
			const partitions = (isVisible ? topic.partitions : []).map(({ leader, leaderEpoch }, index) =>
				Buffer.concat([i16(0), i32(index), i32(leader), i32(leaderEpoch), list([]), list([]), list([]), noTags]),
			);
			const operations = topic?.access === "read" ? readBit | describeBit : describeBit;
			const id = isVisible ? Buffer.from(topic.id, "base64url") : Buffer.alloc(16);
			const told = i32(tellsOperations ? operations : -(2 ** 31));
			return Buffer.concat([i16(code), text(name), id, Buffer.alloc(1), list(partitions), told, noTags]);
		});
		return Buffer.concat([noTags, i32(0), list(brokers), text("fake"), i32(1), list(topics), noTags]);
	}

	#listOffsets(request: Words): Buffer {
		request.i32();
		return fixedList(
			request.fixedList(() => {
				const name = request.fixedText();
				const answers = request.fixedList(() => {
					const [index, timestampMs] = [request.i32(), Number(request.i64())];
					const partition = this.topics.get(name)?.partitions[index];
					const log = partition?.log(partition.leader) ?? [];
					const found = log.findIndex((record) => record.timestampMs >= timestampMs);
					const offset = timestampMs === -1 ? log.length : timestampMs === -2 ? 0 : found;
					const code = partition === undefined ? KafkaCode.unknownTopic : 0;
					return Buffer.concat([i32(index), i16(code), i64(-1), i64(offset)]);
				});
				return Buffer.concat([fixedText(name), fixedList(answers)]);
			}),
		);
	}

	async #fetch(node: number, request: Words): Promise<Buffer> {
		request.tags();
		// Replica, wait, least and most bytes, isolation, session and its epoch.
		request.take(4 * 4 + 1 + 2 * 4);
		const asked = request.list(() => {
			const id = request.take(16).toString("base64url");
			const partitions = request.list(() => {
				const [partition, leaderEpoch, offset, lastEpoch] = [request.i32(), request.i32(), Number(request.i64()), request.i32()];
				request.take(12);
				request.tags();
				return { partition, leaderEpoch, offset, lastEpoch };
			});
			request.tags();
			return { id, partitions };
		});
		let isEmpty = true;
		const topics = asked.map(({ id, partitions }) => {
			const topic = [...this.topics.values()].find((each) => each.id === id);
			const answers = partitions.map((target) => {
				this.fetches.push({ node, topic: topic?.name ?? id, ...target });
				const answer = partitionAnswer(node, topic, target);
				if (answer.records.length > 0 || answer.code !== 0 || answer.diverging !== null) isEmpty = false;
				const { diverging } = answer;
				const tags = diverging === null ? noTags : divergingTag(diverging);
				return Buffer.concat([
					...[i32(target.partition), i16(answer.code), i64(answer.logEnd), i64(answer.logEnd), i64(0), list([]), i32(-1)],
					...[uvarint(answer.records.length + 1), answer.records, tags],
				]);
			});
			return Buffer.concat([Buffer.from(id, "base64url"), list(answers), noTags]);
		});
		if (isEmpty) await new Promise((resolve) => setTimeout(resolve, waitMs));
		return Buffer.concat([noTags, i32(0), i16(0), i32(0), list(topics), noTags]);
	}
}

interface Target {
	readonly partition: number;
	readonly leaderEpoch: number;
	readonly offset: number;
	readonly lastEpoch: number;
}

interface PartitionAnswer {
	readonly code: number;
	readonly logEnd: number;
	readonly diverging: { epoch: number; endOffset: number } | null;
	readonly records: Buffer;
}

/** In the order in which Kafka checks. */
function partitionAnswer(
	node: number,
	topic: FakeTopic | undefined,
	{ partition, leaderEpoch, offset, lastEpoch }: Target,
): PartitionAnswer {
	const refused = (code: number): PartitionAnswer => ({ code, logEnd: -1, diverging: null, records: Buffer.alloc(0) });
	if (topic === undefined) return refused(KafkaCode.unknownTopicId);
	if (topic.access !== "read") return refused(KafkaCode.topicDenied);
	const found = topic.partitions[partition]!;
	if (leaderEpoch >= 0 && leaderEpoch < found.leaderEpoch) return refused(KafkaCode.fencedEpoch);
	if (leaderEpoch > found.leaderEpoch) return refused(KafkaCode.unknownEpoch);
	if (found.leader !== node) return refused(KafkaCode.notLeader);
	const log = found.log(node);
	const common = { code: 0, logEnd: log.length };
	if (lastEpoch >= 0) {
		const end = found.endOf(lastEpoch);
		if (end.endOffset < 0) return refused(KafkaCode.offsetOutOfRange);
		if (end.epoch < lastEpoch || end.endOffset < offset) return { ...common, diverging: end, records: Buffer.alloc(0) };
	}
	if (offset > log.length) return refused(KafkaCode.offsetOutOfRange);
	const records = log.slice(offset, offset + recordsPerAnswer);
	// Each batch is of one leader.
	const batches = records.map(({ epoch, value, timestampMs }, index) => batchOf(offset + index, [value], { epoch, timestampMs }));
	return { ...common, diverging: null, records: Buffer.concat(batches) };
}

/** All requests that the brokers take: key, least and highest version. */
const versions: readonly (readonly [number, number, number])[] = [
	[ApiKey.fetch, 0, 13],
	[ApiKey.listOffsets, 0, 1],
	[ApiKey.metadata, 0, 12],
	[ApiKey.apiVersions, 0, 2],
];

const noTags = Buffer.alloc(1);
const bytesOf = (length: number, write: (buffer: Buffer) => void): Buffer => {
	const buffer = Buffer.alloc(length);
	write(buffer);
	return buffer;
};
const i16 = (value: number) => bytesOf(2, (buffer) => buffer.writeInt16BE(value));
const i32 = (value: number) => bytesOf(4, (buffer) => buffer.writeInt32BE(value));
const i64 = (value: number) => bytesOf(8, (buffer) => buffer.writeBigInt64BE(BigInt(value)));
const uvarint = (value: number): Buffer =>
	value < 0x80 ? Buffer.from([value]) : Buffer.concat([Buffer.from([(value & 0x7f) | 0x80]), uvarint(value >>> 7)]);
const text = (value: string | null) => (value === null ? uvarint(0) : Buffer.concat([uvarint(value.length + 1), Buffer.from(value)]));
const list = (items: readonly Buffer[]) => Buffer.concat([uvarint(items.length + 1), ...items]);
const fixedText = (value: string) => Buffer.concat([i16(value.length), Buffer.from(value)]);
const fixedList = (items: readonly Buffer[]) => Buffer.concat([i32(items.length), ...items]);
const divergingTag = ({ epoch, endOffset }: { epoch: number; endOffset: number }) =>
	Buffer.concat([Buffer.from([1, 0, 13]), i32(epoch), i64(endOffset), noTags]);

/** Reads a request. */
class Words {
	#at = 0;
	readonly #bytes: Buffer;
	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}
	take(length: number): Buffer {
		this.#at += length;
		return this.#bytes.subarray(this.#at - length, this.#at);
	}
	i16 = () => this.take(2).readInt16BE(0);
	i32 = () => this.take(4).readInt32BE(0);
	i64 = () => this.take(8).readBigInt64BE(0);
	fixedText = () => this.take(this.i16()).toString();
	text = () => this.take(this.uvarint() - 1).toString();
	fixedList = <T>(read: () => T): T[] => Array.from({ length: this.i32() }, read);
	list = <T>(read: () => T): T[] => Array.from({ length: this.uvarint() - 1 }, read);
	uvarint(): number {
		const byte = this.take(1)[0]!;
		return byte < 0x80 ? byte : (byte & 0x7f) + 0x80 * this.uvarint();
	}
	/** The sources send none. */
	tags(): void {
		if (this.take(1)[0] !== 0) throw new Error("tagged fields in a request");
	}
}
