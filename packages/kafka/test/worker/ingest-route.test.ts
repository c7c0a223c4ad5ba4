import { parseSubscription } from "@shardcast/config";
import { everybody, RecordKind, RecordType } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { RouteWatch } from "../../src/host/route-watch.ts";
import type { PayloadFormat } from "../../src/ingest-options.ts";
import { ChannelTemplate } from "../../src/route/channel-template.ts";
import { parseAnswer, type RouteFunction } from "../../src/route/route-function.ts";
import type { SourceRecord } from "../../src/source.ts";
import { parseSender, publishedHeaders, senderText } from "../../src/worker/published-headers.ts";
import { RecordRouter, type Refusal } from "../../src/worker/record-router.ts";
import { Reporter } from "../../src/worker/reporter.ts";

const partition = { row: 3, topic: "trade", topicId: null, partition: 2 };

function recordOf({
	key = null,
	value = "v",
	headers = {},
}: {
	key?: string | Buffer | null;
	value?: string | Buffer | null;
	headers?: Record<string, string | Buffer | null>;
}) {
	const keyBytes = Buffer.from((key ?? "") as string);
	const valueBytes = Buffer.from((value ?? "") as string);
	const record: SourceRecord = {
		bytes: Buffer.concat([keyBytes, valueBytes]),
		offset: 9,
		leaderEpoch: 0,
		timestampMs: 5,
		keyStart: key === null ? -1 : 0,
		keyEnd: keyBytes.length,
		valueStart: value === null ? -1 : keyBytes.length,
		valueEnd: keyBytes.length + valueBytes.length,
		header: (name) => (headers[name] === undefined ? undefined : bytesOf(headers[name])),
		eachHeader: (visit) => {
			for (const [name, text] of Object.entries(headers)) visit(name, bytesOf(text));
		},
	};
	return record;
}

const bytesOf = (value: string | Buffer | null) => (value === null ? null : Buffer.from(value as string));

describe("ChannelTemplate", () => {
	const channels = (template: string, record: Parameters<typeof recordOf>[0]) =>
		new ChannelTemplate(template).channelsOf(partition, recordOf(record))?.names;

	it("fills in topic, key, partition and headers", () => {
		expect(channels("{topic}", {})).toEqual(["trade"]);
		expect(channels("{key}.{topic}", { key: "BTC" })).toEqual(["BTC.trade"]);
		expect(channels("p{partition}-{header:kind}", { headers: { kind: "tick" } })).toEqual(["p2-tick"]);
	});

	it("says why a record has no channel, by the part of the template that fails", () => {
		const why = (template: string, record: Parameters<typeof recordOf>[0]) => {
			const made = new ChannelTemplate(template);
			expect(made.channelsOf(partition, recordOf(record))).toBeNull();
			return made.explain(partition, recordOf(record));
		};
		expect(why("{key}.{topic}", {})).toBe("its key is null, and --kafka-channel {key}.{topic} needs one");
		expect(why("{key}", { key: "x".repeat(300) })).toBe("its key has 300 bytes; a channel name has at most 255");
		expect(why("{topic}-{header:kind}", {})).toBe("its header kind is missing, and --kafka-channel {topic}-{header:kind} needs it");
		expect(why("{header:kind}", { headers: { kind: "h".repeat(256) } })).toContain("its header kind has 256 bytes");
		expect(why("{key}", { key: Buffer.from([0x61, 0xff]) })).toBe("the name that --kafka-channel {key} gives is not valid UTF-8");
		expect(why("{key}", { key: "" })).toBe("--kafka-channel {key} gives an empty name");
		expect(why("{key}.{key}", { key: "k".repeat(200) })).toContain("gives a name of 401 bytes");
	});

	it("gives no name to a key that is too long or no UTF-8, whatever its length, and keeps only so many", { tags: ["long"] }, () => {
		const template = new ChannelTemplate("{key}");
		const of = (key: string | Buffer) => template.channelsOf(partition, recordOf({ key }))?.names;
		expect(of("x".repeat(255))).toEqual(["x".repeat(255)]);
		expect(of("€".repeat(86))).toBeUndefined();
		expect(of(Buffer.from([0x61, 0xff]))).toBeUndefined();
		const header = new ChannelTemplate("{key}.{header:h}.{key}");
		const byHeader = (key: string, h: string) => header.channelsOf(partition, recordOf({ key, headers: { h } }))?.names;
		expect(byHeader("k", "h")).toEqual(["k.h.k"]);
		expect(byHeader("k", "h".repeat(100_000))).toBeUndefined();

		const before = template.keptBytes;
		for (let key = 0; key < 300; key++) of(`${key}`.padEnd(100_000, "x"));
		expect(template.keptBytes).toBe(before);
		let most = 0;
		for (let key = 0; key < 18_000; key++) {
			of(`${key}`.padEnd(255, "x"));
			most = Math.max(most, template.keptBytes);
		}
		expect(most).toBeGreaterThan(1 << 20);
		expect(most).toBeLessThanOrEqual(16 << 20);
		expect(of("17999".padEnd(255, "x"))).toEqual(["17999".padEnd(255, "x")]);
	});

	it("goes to everybody for *, and to nobody without what it asks for", () => {
		expect(new ChannelTemplate("*").channelsOf(partition, recordOf({}))).toBe(everybody);
		expect(channels("{key}", {})).toBeUndefined();
		expect(channels("{key}", { key: "" })).toBeUndefined();
		expect(channels("{header:x}", {})).toBeUndefined();
		expect(channels("{key}", { key: "x".repeat(256) })).toBeUndefined();
	});
});

describe("RecordRouter", () => {
	function decide(
		record: SourceRecord,
		options: {
			format?: PayloadFormat;
			route?: RouteFunction;
			payloadBytesMax?: number;
			publishTopic?: string;
			messageTopics?: string;
			budgetMs?: number;
		} = {},
	) {
		const router = new RecordRouter({
			template: new ChannelTemplate("{topic}"),
			route: options.route ?? null,
			routeBudgetMs: options.budgetMs ?? 1000,
			format: options.format ?? "text",
			payloadBytesMax: options.payloadBytesMax ?? 100,
			publishTopic: options.publishTopic ?? null,
			messageTopics: parseSubscription(options.messageTopics ?? ""),
			cluster: "here",
			memory: { enterRoute: () => {}, leaveRoute: () => {} },
			isPoisoned: () => false,
			onError: () => {},
		});
		let refused: Refusal | null = null;
		const done = router.decide(partition, record, (refusal) => {
			refused = refusal;
			return true;
		});
		const outcome = () => ({ refused, text: Buffer.from(router.payload).toString(), router });
		return done instanceof Promise ? done.then(outcome) : outcome();
	}

	it("refuses what no client could take, and says why", async () => {
		const refusals: [SourceRecord, Parameters<typeof decide>[1], Refusal | null][] = [
			[recordOf({}), {}, null],
			[recordOf({ value: null }), {}, "tombstones"],
			[recordOf({ value: "x".repeat(101) }), {}, "tooLarge"],
			[recordOf({ value: Buffer.from([0xff]) }), {}, "invalidText"],
			[recordOf({ value: Buffer.from([0xff]) }), { format: "binary" }, null],
			[recordOf({ value: "{" }), { format: "json" }, "invalidJson"],
			[recordOf({ value: '{"a":1}' }), { format: "json" }, null],
		];
		for (const [record, options, expected] of refusals) expect((await decide(record, options)).refused).toBe(expected);
	});

	it("lets a route function choose, and survives whatever it does", async () => {
		const by = async (route: RouteFunction) => decide(recordOf({ key: "k" }), { route, budgetMs: 20 });
		expect((await by(({ key, topic }) => [`${topic}`, `${key}`])).router.channels.names).toEqual(["trade", "k"]);
		expect((await by(() => ({ payload: new Uint8Array([65]) }))).router.kind).toBe(RecordKind.binary);
		expect((await by(async () => ({ channels: "a", payload: "made" }))).text).toBe("made");
		expect((await by(() => null)).refused).toBe("routeSkipped");
		expect((await by(() => 7 as never)).refused).toBe("routeInvalid");
		expect((await by(() => [""])).refused).toBe("routeInvalid");
		expect((await by(() => ({ payload: 7 }) as never)).refused).toBe("routeInvalid");
		expect((await by(() => ({ payload: "x".repeat(101) }))).refused).toBe("tooLarge");
		expect((await by(() => Promise.reject(new Error("no")))).refused).toBe("routeErrors");
		expect((await by(() => new Promise(() => {}))).refused).toBe("routeTimeouts");
		// A promise of another library.
		// biome-ignore lint/suspicious/noThenProperty: that is what is tested.
		const thenable = { then: (resolve: (answer: string) => void) => resolve("vip") };
		expect((await by(() => thenable as never)).router.channels.names).toEqual(["vip"]);
		expect((await by(() => ({ channel: "vip" }) as never)).refused).toBe("routeInvalid");
		const thrower = () => {
			throw new Error("no");
		};
		expect((await by(thrower)).refused).toBe("routeErrors");
	});

	it("takes clients' messages as they say: kind, channels, and a sender of this cluster only", async () => {
		const published = (cluster: string) =>
			recordOf({
				value: "hi",
				headers: Object.fromEntries(publishedHeaders(RecordKind.binary, ["a", "b"], senderText(cluster, 1, 2, 77))) as Record<
					string,
					string
				>,
			});
		const ours = await decide(published("here"), { publishTopic: "trade" });
		const urgent = Object.fromEntries(publishedHeaders(RecordKind.text, ["a"], "", true)) as Record<string, string>;
		expect((await decide(recordOf({ headers: urgent }), { publishTopic: "trade" })).router.type).toBe(RecordType.urgent);
		expect([ours.router.kind, ours.router.channels.names, ours.router.sender]).toEqual([RecordKind.binary, ["a", "b"], 77]);
		expect(ours.router.senderShard).toBe(parseSender("here/1/2/77", "here")!.life);
		expect((await decide(published("elsewhere"), { publishTopic: "trade" })).router.sender).toBe(0);
		expect(parseSender("here/1/2", "here")).toBeNull();
		for (const channels of ["5", '"ab"', "[1]", '[["a"]]', "null"]) {
			const odd = recordOf({ headers: { "shardcast-kind": "text", "shardcast-channels": channels } });
			expect([channels, (await decide(odd, { publishTopic: "trade" })).refused]).toEqual([channels, "badChannel"]);
		}
		const nonsense = recordOf({ headers: { "shardcast-kind": "text", "shardcast-channels": "no json" } });
		expect((await decide(nonsense, { publishTopic: "trade" })).refused).toBe("badChannel");
	});

	it("takes type, priority, user and room from headers, in the topics that may have them, and nowhere else", async () => {
		const by = (headers: Record<string, string>, value = '{"a": 1}', messageTopics = "trade", route?: RouteFunction) =>
			decide(recordOf({ value, headers }), { messageTopics, ...(route && { route }) });
		const user = await by({ "shardcast-to": "user:ann:1", "shardcast-type": 'c"all', other: "is not ours" });
		expect([user.refused, user.router.type, user.router.kind, user.router.channels.names]).toEqual([
			...[null, RecordType.direct, RecordKind.text],
			["ann:1"],
		]);
		expect(user.text).toBe('{"type":"c\\"all","payload":{"a": 1}}');
		const all = await by({ "shardcast-to": "all", "shardcast-type": "t", "shardcast-priority": "high" }, "7");
		expect([all.router.type, all.router.channels, all.text]).toEqual([RecordType.urgentDirect, everybody, '{"type":"t","payload":7}']);
		const room = await by({ "shardcast-to": "room:room:1", "shardcast-priority": "high" }, "no JSON");
		expect([room.router.type, room.router.channels.names, room.text]).toEqual([RecordType.urgent, ["room:1"], "no JSON"]);
		const plain = await by({ "shardcast-type": "t", "shardcast-priority": "normal" }, "7");
		expect([plain.router.type, plain.router.channels.names, plain.text]).toEqual([
			RecordType.publication,
			["trade"],
			'{"type":"t","payload":7}',
		]);
		const routed = await by({ "shardcast-type": "t" }, "7", "/tr.*/", async () => ({ channels: "a", payload: "[8]" }));
		expect([routed.router.channels.names, routed.text]).toEqual([["a"], '{"type":"t","payload":[8]}']);
		const passedBy = await by({ "shardcast-to": "room:b" }, "7", "trade", () => "a");
		expect(passedBy.router.channels.names).toEqual(["b"]);
		// Of another topic: the producer may not choose.
		const other = await by({ "shardcast-to": "user:ann", "shardcast-type": "t" }, "7", "calls");
		expect([other.router.type, other.router.channels.names, other.text]).toEqual([RecordType.publication, ["trade"], "7"]);
		// The next record is not of the type of the one before it.
		const router = all.router;
		router.decide(partition, recordOf({}), () => true);
		expect([router.type, router.channels.names]).toEqual([RecordType.publication, ["trade"]]);
	});

	it("refuses headers that are not valid, and says which and why", async () => {
		const why = async (headers: Record<string, string | Buffer | null>, value: string | Buffer = "7") => {
			const record = recordOf({ value, headers });
			const { refused, router } = await decide(record, { messageTopics: "trade" });
			return refused === null ? "" : `${refused}: ${router.explain(refused, partition, record)}`;
		};
		const known = "shardcast-to, shardcast-type, shardcast-priority";
		expect(await why({ "shardcast-too": "all" })).toBe(`badHeader: it has the header shardcast-too, which is not known here; ${known} are`);
		expect(await why({ "shardcast-channels": "[]" })).toContain("shardcast-channels, which is not known here");
		expect(await why({ "shardcast-to": "ann", "shardcast-type": "t" })).toBe(
			'badHeader: its header shardcast-to must be all, user:<id> or room:<channel>, not "ann"',
		);
		for (const user of ["", "u".repeat(256)])
			expect(await why({ "shardcast-to": `user:${user}`, "shardcast-type": "t" })).toContain("must name a user of 1 to 255 bytes");
		for (const room of ["", "€".repeat(86)])
			expect(await why({ "shardcast-to": `room:${room}` })).toContain("must name a channel of 1 to 255");
		for (const to of ["all", "user:ann"])
			expect(await why({ "shardcast-to": to })).toBe(`badHeader: it has the header shardcast-to "${to}" without shardcast-type`);
		for (const type of ["", "t".repeat(129)]) expect(await why({ "shardcast-type": type })).toContain("must have 1 to 128 characters");
		expect(await why({ "shardcast-priority": "High" })).toContain('must be normal or high, not "High"');
		expect(await why({ "shardcast-type": null })).toBe("badHeader: its header shardcast-type is null");
		expect(await why({ "shardcast-type": Buffer.from([0xff]) })).toBe("badHeader: its header shardcast-type is not valid UTF-8");
		expect(await why({ "shardcast-type": "t" }, "{")).toBe("invalidJson: it is not valid JSON, which its header shardcast-type requires");
		expect(await why({ "shardcast-type": "t" }, Buffer.from([0x22, 0xff, 0x22]))).toContain("invalidText");
		expect(await why({ "shardcast-type": "t" }, `"${"x".repeat(90)}"`)).toContain("tooLarge: it is 115 bytes long");
		expect(await why({ "shardcast-reason": "badHeader", "shardcast-source": "trade-0-1" }), "a dead letter, written back").toBe("");
	});

	it("lets no text that is no UTF-8 reach a text frame, also when a record claims to come from a client", async () => {
		const claiming = (kind: RecordKind, value: Buffer) =>
			decide(recordOf({ value, headers: Object.fromEntries(publishedHeaders(kind, [], "")) as Record<string, string> }), {
				publishTopic: "trade",
			});
		const [broken, cut] = [Buffer.from([0x61, 0xff]), Buffer.from("€").subarray(0, 2)];
		expect((await claiming(RecordKind.text, broken)).refused).toBe("invalidText");
		expect((await claiming(RecordKind.text, cut)).refused).toBe("invalidText");
		expect((await claiming(RecordKind.text, Buffer.from("€"))).refused).toBe(null);
		expect((await claiming(RecordKind.binary, broken)).refused).toBe(null);
		const route: RouteFunction = () => ({ payload: new Uint8Array(broken), binary: false });
		expect((await decide(recordOf({}), { route })).refused).toBe("invalidText");
	});

	it("parses what a function may return", () => {
		expect(parseAnswer(undefined)).toBeNull();
		expect(parseAnswer({})).toEqual({ channels: [], payload: null, binary: null });
		expect(parseAnswer({ channels: ["a"], binary: true })).toEqual({ channels: ["a"], payload: null, binary: true });
		expect(() => parseAnswer({ channels: 1 })).toThrow(TypeError);
		expect(() => parseAnswer({ channel: "vip" }), "misspelt: it would go to everybody").toThrow(/"channel", which is none of channels,/);
		expect(() => parseAnswer({ channels: "a", binary: "yes" })).toThrow(TypeError);
	});
});

describe("RouteWatch", () => {
	it("tells of a call that does not come back, once, and of no other", () => {
		let call: number | null = null;
		let hung = 0;
		const watch = new RouteWatch({ routeCall: () => call }, 100, () => hung++);
		for (let now = 0; now < 1000; now += 50) {
			call = now + 1; // a new call at each look: busy, not hung
			watch.look(now);
		}
		call = 5001;
		watch.look(1000);
		watch.look(1100);
		expect(hung).toBe(0);
		watch.look(1101);
		expect(hung).toBe(1);
		call = null;
		watch.look(2000);
		watch.look(3000);
		expect(hung).toBe(1);
	});
});

describe("Reporter", () => {
	it("writes a few lines of each kind in ten seconds and counts the rest", () => {
		const lines: string[] = [];
		let nowMs = 0;
		const reporter = new Reporter(
			(_level, _fields, message) => lines.push(message),
			() => nowMs,
		);
		for (let line = 0; line < 100; line++) reporter.warn("corrupt", `bad ${line}`);
		reporter.warn("commit", "other kinds are not held back");
		expect(lines).toHaveLength(6);
		nowMs = 10_000;
		reporter.warn("corrupt", "again");
		expect(lines.slice(6)).toEqual(["kafka: 95 more lines of this kind were left out", "kafka: again"]);
	});
});
