import { isDeepStrictEqual } from "node:util";
import { stressed } from "@shardcast/testkit";
import { arbitraryText } from "@shardcast/testkit/arbitraries";
import { RecordKind } from "@shardcast/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchMessagesMax, type PublishRequest, PublishRequestError, parsePublish } from "../../src/http/publish-request.ts";

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const one = (type: string, query: string, body: Uint8Array): PublishRequest => {
	const parsed = parsePublish(type, query, body);
	if (!("payload" in parsed)) throw new Error("it is a batch");
	return parsed;
};
const payloadOf = (body: string | Uint8Array) => Buffer.from(one("application/json", "", Buffer.from(body)).payload).toString();
const parse = (value: unknown) => {
	const { kind, channels, payload } = one("application/json", "", json(value));
	return { kind, channels: channels.names, text: Buffer.from(payload).toString() };
};

describe("a publish request", () => {
	it("publishes a string as that text, anything else as its JSON", () => {
		expect(parse({ data: "héllo" })).toEqual({ kind: RecordKind.text, channels: [], text: "héllo" });
		expect(parse({ channel: "news", data: { a: [1, null] } })).toEqual({
			kind: RecordKind.text,
			channels: ["news"],
			text: '{"a":[1,null]}',
		});
		for (const data of [null, 0, false, [], ""]) expect(parse({ data }).text).toBe(typeof data === "string" ? data : JSON.stringify(data));
	});

	it.each([
		['{"id":9007199254740993,"x":1e400}', "numbers that are no double"],
		['{ "a" : [ 1.0 , -0 ] ,\n"b":"\\u00e9" }', "white space and escapes"],
		['{"a":1,"a":2}', "a key that is there twice"],
		['["\\ud800"]', "half a character, escaped"],
	])("publishes data byte for byte: %s (%s)", (data) => {
		expect(payloadOf(`{"data": ${data} }`)).toBe(data);
		expect(payloadOf(`\ufeff\t{"data":${data},"channel":"c"}\n`)).toBe(data);
	});

	it("publishes data nested to any depth, without recursion", { tags: ["long"] }, () => {
		for (const depth of [15_000, 1_000_000]) {
			const data = "[".repeat(depth) + "]".repeat(depth);
			expect(payloadOf(`{"data":${data}}`)).toHaveLength(data.length);
			expect(() => payloadOf(`{"data":${data.slice(1)}}`)).toThrow(/not JSON/);
			const objects = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
			expect(payloadOf(`{"data":${objects}}`)).toHaveLength(objects.length);
		}
	});

	it("reads keys and strings as JavaScript does: escapes are decoded, and the last of two equal keys counts", () => {
		expect(payloadOf('{"d\\u0061ta":"\\u0061\\n\\ud83d\\ude00","data":1,"data":"x\\"y"}')).toBe('x"y');
		expect(payloadOf('{"d\\u0061ta":"\\u0061\\n\\ud83d\\ude00"}')).toBe("a\n😀");
		expect(one("", "", Buffer.from('{"channel":1,"\\u0063hannel":"a\\u002fb","data":0}')).channels.names).toEqual(["a/b"]);
	});

	it("has a type, which is written around the data as it is, and a priority", () => {
		const read = (text: string) => {
			const { payload, details } = one("", "", Buffer.from(text));
			return [Buffer.from(payload).toString(), details?.urgent];
		};
		expect(read('{"data": {"n": 1e400} ,"type":"a\\n"}')).toEqual(['{"type":"a\\n","payload":{"n": 1e400}}', undefined]);
		expect(read('{"type":"t","data":"\\u0061","priority":"high"}')).toEqual(['{"type":"t","payload":"\\u0061"}', true]);
		expect(read('{"type":null,"data":"x","priority":"normal"}')).toEqual(["x", undefined]);
		const batch = parsePublish("", "", Buffer.from('[{"data":1,"type":"t","priority":"high"},{"data":2}]'));
		expect((batch as readonly PublishRequest[]).map(({ payload, details }) => [Buffer.from(payload).toString(), details?.urgent])).toEqual([
			['{"type":"t","payload":1}', true],
			["2", undefined],
		]);
		expect(read('{"type":"t","data":1,"b64data":"eyJhIjoyfQ=="}')[0], "JSON").toBe('{"type":"t","payload":{"a":2}}');
		expect(read('{"type":"t","b64data":"/w=="}')[0], "any bytes").toBe('{"type":"t","payload":"/w=="}');
		expect(() => read('{"type":"t"}')).toThrow('"data" is missing');
		expect(() => read('{"type":7,"data":1}')).toThrow('"type" must be a string of 1 to 128 characters');
		expect(() => read(`{"type":"${"x".repeat(129)}","data":1}`)).toThrow('"type" must be a string of 1 to 128 characters');
		expect(read(`{"type":"${"x".repeat(128)}","data":1}`)[0]).toHaveLength(151);
		expect(() => read('{"data":1,"priority":"urgent"}')).toThrow('"priority" must be "normal" or "high"');
		expect(() => read('{"data":1,"priority":1}')).toThrow('"priority" must be "normal" or "high"');
	});

	it("has tags and an idempotency key", () => {
		const detailsOf = (more: string) => one("", "", Buffer.from(`{"data":1${more}}`)).details;
		expect(detailsOf("")).toBeUndefined();
		expect(detailsOf(',"tags":{"a":"\\u00e9","":"x"},"idempotency_key":"k\\n"')).toEqual({
			tags: { a: "é", "": "x" },
			idempotencyKey: "k\n",
		});
		expect(detailsOf(',"tags":null,"idempotency_key":null')).toEqual({ tags: undefined, idempotencyKey: undefined });
		expect(detailsOf(',"tags":{},"idempotency_key":""')).toEqual({ tags: undefined, idempotencyKey: undefined });
		expect(detailsOf(',"tags":{"__proto__":"p"}')?.tags).toHaveProperty(["__proto__"], "p");
		const lines = parsePublish("application/x-ndjson", "", Buffer.from('{"data":1,"tags":{"a":"1"}}\n{"data":2}')) as PublishRequest[];
		expect(lines.map(({ details }) => details?.tags)).toEqual([{ a: "1" }, undefined]);
	});

	it.each([
		['"tags":{"a":1}', /"tags" must be an object of strings/],
		['"tags":["a"]', /"tags" must be an object of strings/],
		['"tags":"a"', /"tags" must be an object of strings/],
		['"tags":{"a":"\\ud800"}', /"tags" is not well-formed Unicode/],
		[`"tags":{"a":"${"x".repeat(8200)}"}`, /"tags" are 8208 bytes; the most is 8192/],
		['"idempotency_key":5', /"idempotency_key" must be a string/],
	])("refuses %s", (member, message) => {
		expect(() => one("", "", Buffer.from(`{"data":1,${member}}`))).toThrow(message);
	});

	it("publishes bytes as a binary message for ?channel=", () => {
		const bytes = Buffer.from([0, 255, 10]);
		for (const type of ["application/octet-stream", "Application/Octet-Stream; x=y"]) {
			const request = one(type, "channel=a%2Cb", bytes);
			expect(request.kind).toBe(RecordKind.binary);
			expect(request.channels.names).toEqual(["a,b"]);
			expect(request.payload).toEqual(bytes);
		}
		expect(one("application/octet-stream", "", bytes).channels.count).toBe(0);
	});

	it.each([
		["an unfinished body", Buffer.from("{"), /not JSON: it ends too early, after 1 bytes/],
		["an empty body", Buffer.from(""), /not JSON: it is empty/],
		["text", Buffer.from("hello"), /not JSON: h is not expected at byte 0/],
		["a control character", Buffer.from('{"data":"\n"}'), /not JSON: 0x0a is not expected at byte 9/],
		["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), /not JSON: it is not UTF-8/],
		["an array", json([1]), /must be an object/],
		["null", json(null), /must be an object/],
		["no data", json({ channel: "a" }), /"data" is missing/],
		["a misspelt channel, which would go to everybody", json({ chanel: "a", data: 1 }), /"chanel" is not known/],
		["a channel that is no string", json({ channel: 1, data: 1 }), /must be a string/],
		["an empty channel", json({ channel: "", data: 1 }), /empty/],
		["a channel that is too long", json({ channel: "x".repeat(256), data: 1 }), /256 bytes/],
		["half a character", Buffer.from('{"data":"\\ud800"}'), /"data" is not well-formed/],
		["half a character in the channel's name", Buffer.from('{"channel":"\\ud800","data":1}'), /"channel" is not well-formed/],
	])("is refused with %s", (_what, body, message) => {
		expect(() => parsePublish("application/json", "", body)).toThrow(message);
	});

	it.each(["application/json", "", "application/x-ndjson"])("is refused with ?channel= and a body of JSON (%s)", (type) => {
		expect(() => parsePublish(type, "channel=news", json({ data: 1 }))).toThrow(
			'the channel of JSON is a key of the body: {"channel": "news"',
		);
	});
});

describe("a batch", () => {
	const batch = (type: string, body: string) => {
		const parsed = parsePublish(type, "", Buffer.from(body));
		if ("payload" in parsed) throw new Error("it is one message");
		return parsed.map(({ kind, channels, payload }) => ({ kind, channels: channels.names, text: Buffer.from(payload).toString() }));
	};
	const asArray = (messages: readonly string[]) => batch("application/json", `[${messages.join(",")}]`);
	const asLines = (messages: readonly string[]) => batch("application/x-ndjson", `${messages.join("\n")}\n`);
	const forms = [
		["an array", asArray],
		["lines", asLines],
	] as const;

	it.each(forms)("as %s publishes each message as if it were alone", (_form, batched) => {
		const messages = [
			'{"data":"a"}',
			'{ "channel" : "news", "data": {"id":9007199254740993, "x": [ 1 ]} }',
			'{"data":[{"data":1}]}',
			'{"data":"\\u0061"}',
		];
		expect(batched(messages)).toEqual([
			{ kind: RecordKind.text, channels: [], text: "a" },
			{ kind: RecordKind.text, channels: ["news"], text: '{"id":9007199254740993, "x": [ 1 ]}' },
			{ kind: RecordKind.text, channels: [], text: '[{"data":1}]' },
			{ kind: RecordKind.text, channels: [], text: "a" },
		]);
	});

	it("in lines may have blank lines, CR LF, a byte order mark, and no line feed at the end", () => {
		const text = '\ufeff{"data":1}\r\n\n \t\r\n{"data":2}';
		for (const type of ["application/x-ndjson", "application/ndjson; charset=utf-8", "Application/X-NDJSON"])
			expect(batch(type, text).map((message) => message.text)).toEqual(["1", "2"]);
	});

	it("in lines is refused for a line that is an array, whatever it contains", () => {
		for (const line of ['[{"data":1},{"data":2}]', ' [{"data":1},{"data":2},5]', '[{"chanel":1}]', `[${Array(1001).fill('{"data":1}')}]`])
			expect(() => asLines(['{"data":0}', line]), line.slice(0, 40)).toThrow(
				new PublishRequestError('message 1: it must be an object such as {"channel": "news", "data": "hello"}'),
			);
	});

	it.each(forms)("as %s is refused as a whole when one message is invalid, and the error names it", (_form, batched) => {
		const good = '{"data":1}';
		for (const [bad, message] of [
			['{"chanel":"a","data":1}', /^message 2: "chanel" is not known/],
			['{"channel":"a"}', /^message 2: "data" is missing/],
			['{"channel":"","data":1}', /^message 2: .*empty/],
			["7", /^message 2: it must be an object/],
			["[]", /^message 2: it must be an object/],
			['{"data":}', /not JSON: } is not expected/],
		] as const)
			expect(() => batched([good, good, bad, good]), bad).toThrow(message);
	});

	it("in lines is refused for a line that is not JSON, and for an array that does not end", () => {
		expect(() => asLines(['{"data":1}', '{"data":1', '{"data":1}'])).toThrow(/^message 1: it is not JSON: it ends too early/);
		expect(() => batch("application/json", '[{"data":1}')).toThrow(/ends too early/);
		expect(() => batch("application/json", '[{"data":1},]')).toThrow(/not expected/);
	});

	it.each(forms)("as %s has at least one message and at most batchMessagesMax", (_form, batched) => {
		expect(() => batched([])).toThrow(/no message/);
		const most = Array.from({ length: batchMessagesMax }, (_, index) => `{"channel":"c${index % 3}","data":${index}}`);
		expect(batched(most)).toHaveLength(batchMessagesMax);
		expect(() => batched([...most, '{"data":1}'])).toThrow(expect.objectContaining({ code: "too_large" }));
	});

	it("is read as a list of single messages would be, whatever they are", { tags: ["long"] }, () => {
		const property = fc.property(
			fc.array(fc.tuple(fc.option(fc.string({ minLength: 1, maxLength: 20 })), fc.json()), { minLength: 1, maxLength: 8 }),
			(items) => {
				const messages = items.map(
					([channel, data]) => `{${channel === null ? "" : `"channel":${JSON.stringify(channel)},`}"data":${data}}`,
				);
				const alone = (text: string) => {
					try {
						const { kind, channels, payload } = one("", "", Buffer.from(text));
						return { kind, channels: channels.names, text: Buffer.from(payload).toString() };
					} catch {
						return null;
					}
				};
				const expected = messages.map(alone);
				for (const [, batched] of forms) {
					if (expected.includes(null)) expect(() => batched(messages)).toThrow(/^message \d: /);
					else expect(batched(messages)).toEqual(expected);
				}
			},
		);
		fc.assert(property, { numRuns: stressed(300) });
	});
});

/** What JSON.parse makes of a body: the channel and the data, or undefined for one that must be refused. */
function byJsonParse(body: Uint8Array): { channel: string | undefined; data: unknown } | undefined {
	let value: unknown;
	try {
		value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
	} catch {
		return undefined;
	}
	if (typeof value !== "object" || value === null || Array.isArray(value) || !("data" in value)) return undefined;
	if (Object.keys(value).some((key) => key !== "channel" && key !== "data")) return undefined;
	const { channel, data } = value as { channel?: unknown; data: unknown };
	if (
		channel !== undefined &&
		(typeof channel !== "string" || !channel.isWellFormed() || channel === "" || Buffer.byteLength(channel) > 255)
	)
		return undefined;
	if (typeof data === "string" && !data.isWellFormed()) return undefined;
	return { channel, data };
}

function byUs(body: Uint8Array): { channel: string | undefined; data: unknown; payload: string } | undefined {
	try {
		const { channels, payload } = one("application/json", "", body);
		const text = Buffer.from(payload).toString();
		return { channel: channels.names[0], data: text, payload: text };
	} catch (error) {
		if (!(error instanceof PublishRequestError)) throw error;
		return undefined;
	}
}

/** Most bodies are refused, by both, and to note where each of these errors came from took longer than reading the body. */
function withoutStacks<Result>(work: () => Result): Result {
	const limit = Error.stackTraceLimit;
	Error.stackTraceLimit = 0;
	try {
		return work();
	} finally {
		Error.stackTraceLimit = limit;
	}
}

/** Whether both take the body. @throws when only one does, or they read it differently. */
function agree(body: Uint8Array): boolean {
	const [expected, ours] = withoutStacks(() => [byJsonParse(body), byUs(body)] as const);
	const isSame =
		expected === undefined || ours === undefined
			? expected === ours
			: ours.channel === expected.channel &&
				(typeof expected.data === "string"
					? ours.payload === expected.data
					: isDeepStrictEqual(JSON.parse(ours.payload), expected.data) && Buffer.from(body).includes(ours.payload));
	if (!isSame) expect({ body: Buffer.from(body).toString("latin1"), ours }).toEqual(expected);
	return ours !== undefined;
}

const mostly = (good: readonly string[], bad: readonly string[]) =>
	fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) });
const space = mostly(["", "", " ", "\t\n", "\r"], ["\u00a0", "\ufeff", "\v", "\u2028"]);
const text = fc.oneof(
	{ weight: 4, arbitrary: arbitraryText().map((value) => JSON.stringify(value)) },
	{
		weight: 1,
		arbitrary: mostly(
			['"\\u0061"', '"\\/"', '"\\ud83d\\ude00"', '"é\\b"', '"\u007f\u2028"'],
			['"\\ud800"', '"\\x"', '"\\u12g4"', '"\u0001"', '"'],
		),
	},
);
const number = mostly(
	["0", "-0", "1e400", "-1.50E+07", "9007199254740993", "1e-2"],
	["01", "1.", ".5", "+1", "1e", "-", "0x1", "NaN", "1e+-2", "2-3"],
);
const word = mostly(["true", "false", "null"], ["nul", "undefined", "True", "nulll"]);
const value = fc.letrec<{ any: string; array: string; object: string }>((tie) => ({
	any: fc.oneof({ maxDepth: 4 }, text, number, word, tie("array"), tie("object")),
	array: fc
		.tuple(fc.array(tie("any"), { maxLength: 3 }), space, mostly(["]"], [",]", "}", ""]))
		.map(([items, gap, end]) => `[${gap}${items.join(`${gap},`)}${end}`),
	object: fc
		.tuple(fc.array(fc.tuple(text, tie("any")), { maxLength: 3 }), mostly(["}"], [",}", "]", ""]))
		.map(([items, end]) => `{${items.map(([name, item]) => `${name} :${item}`).join(",")}${end}`),
})).any;
const key = mostly(['"data"', '"channel"', '"d\\u0061ta"', '"\\u0063hannel"'], ['"Data"', '"__proto__"', '"data\\u0000"', "data", "1"]);
const member = fc
	.tuple(space, key, space, mostly([":"], ["", "::", ","]), space, fc.oneof(value, text), space)
	.map((parts) => parts.join(""));
const document = fc
	.tuple(
		mostly(["", "\ufeff"], [" \ufeff", "\ufeff\ufeff"]),
		space,
		fc.array(member, { minLength: 1, maxLength: 3 }),
		mostly(["", " "], [",", "}", "x"]),
	)
	.map(([mark, gap, members, tail]) => `${mark}${gap}{${members.join(",")}}${tail}`);

describe("our scanner and JSON.parse agree", () => {
	it("on documents of every shape", { tags: ["long"] }, () => {
		let taken = 0;
		const property = fc.property(document, (body) => {
			if (agree(Buffer.from(body))) taken++;
		});
		fc.assert(property, { numRuns: stressed(4000) });
		expect(taken, "documents that both take").toBeGreaterThan(400);
	});

	it("on documents with bytes removed, inserted and changed", { tags: ["long"] }, () => {
		const good = fc.tuple(fc.json(), fc.string()).map(([data, channel]) => `{"channel":${JSON.stringify(channel)}, "data":${data}}`);
		const byte = fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...Buffer.from('{}[]":,\\ue0-.')));
		const edits = fc.array(fc.tuple(fc.nat(), fc.constantFrom("out", "in", "change"), byte), { maxLength: 3 });
		let taken = 0;
		const property = fc.property(good, edits, (body, changes) => {
			const bytes = [...Buffer.from(body)];
			for (const [at, how, put] of changes) bytes.splice(at % (bytes.length + 1), how === "in" ? 0 : 1, ...(how === "out" ? [] : [put]));
			if (agree(Uint8Array.from(bytes))) taken++;
		});
		fc.assert(property, { numRuns: stressed(4000) });
		expect(taken, "documents that both take").toBeGreaterThan(400);
	});

	it("on every byte at every position of a document", { tags: ["long"] }, () => {
		const body = Buffer.from('{"channel":"c","data":["a\\n\\u00e9",-10.5e+2,true,{"b":null}]} ');
		for (let at = 0; at < body.length; at++)
			for (let byte = 0; byte < 256; byte++) {
				const changed = Buffer.from(body);
				changed[at] = byte;
				agree(changed);
			}
	});

	it("on every document of a few tokens", { tags: ["long"] }, () => {
		const pieces = ["{", "}", "[", "]", ",", ":", '"data"', "0"];
		const build = (body: string, left: number): void => {
			agree(Buffer.from(body));
			if (left > 0) for (const piece of pieces) build(body + piece, left - 1);
		};
		build("", 3);
		build('{"data":', 4);
	});
});
