import { stressed } from "@shardcast/testkit";
import { arbitraryText } from "@shardcast/testkit/arbitraries";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeJsonCommands } from "../../src/json/json-commands.ts";
import type { Command } from "../../src/messages/command.ts";
import { commandMessage } from "../../src/messages/command.ts";
import { ProtocolError } from "../../src/protocol-error.ts";
import { readable } from "../readable.ts";
import { modelOf } from "./json-model.ts";

const decode = (frame: string | Uint8Array) => decodeJsonCommands(Buffer.from(frame as string));
const one = (frame: string): Command => {
	const { commands, error } = decode(frame);
	expect(error).toBeNull();
	expect(commands).toHaveLength(1);
	return commands[0];
};
const problem = (frame: string | Uint8Array): string => {
	const { error } = decode(frame);
	expect(error).toBeInstanceOf(ProtocolError);
	return error!.message;
};

describe("JSON commands", () => {
	it("are decoded with every field, in any order of keys", () => {
		const command = one(
			'{"subscribe":{"flag":3,"channel":"chat:42","recover":true,"epoch":"x7","offset":14,"token":"t","data":{"a":[1, 2]},' +
				'"positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil",' +
				'"tf":{"op":"and","nodes":[{"key":"a","cmp":"eq","val":"1"},{"key":"b","cmp":"in","vals":["x","y"]}]}},"id":3}',
		);
		const leaf = { op: "", key: "", cmp: "", val: "", vals: [], nodes: [] };
		expect(readable(command)).toEqual({
			id: 3,
			method: "subscribe",
			request: {
				channel: "chat:42",
				token: "t",
				recover: true,
				epoch: "x7",
				offset: 14,
				data: '{"a":[1, 2]}',
				positioned: true,
				recoverable: true,
				joinLeave: true,
				delta: "fossil",
				tf: {
					...leaf,
					op: "and",
					nodes: [
						{ ...leaf, key: "a", cmp: "eq", val: "1" },
						{ ...leaf, key: "b", cmp: "in", vals: ["x", "y"] },
					],
				},
				flag: 3,
			},
		});
	});

	it("are decoded with the subscriptions and headers of a connect, whatever their names", () => {
		const { request } = one(
			'{"connect":{"subs":{"__proto__":{"recover":true}},"headers":{"constructor":"x"},"data":null},"id":1}',
		) as Extract<Command, { method: "connect" }>;
		expect([...request.subs.keys()]).toEqual(["__proto__"]);
		expect(request.subs.get("__proto__")!.recover).toBe(true);
		expect(request.headers).toEqual(new Map([["constructor", "x"]]));
		expect(Buffer.from(request.data).toString(), "a payload may be null").toBe("null");
	});

	it.each([
		['{"unsubscribe":{"channel":"c"},"id":4}', "unsubscribe"],
		['{"publish":{"channel":"c","data":{}},"id":5}', "publish"],
		['{"presence":{"channel":"c"},"id":6}', "presence"],
		['{"presence_stats":{"channel":"c"},"id":7}', "presenceStats"],
		['{"history":{"channel":"c","limit":-1,"since":{"offset":3,"epoch":"x7"},"reverse":true},"id":8}', "history"],
		['{"rpc":{"method":"m","data":{}},"id":9}', "rpc"],
		['{"send":{"data":{}}}', "send"],
		['{"refresh":{"token":"t"},"id":10}', "refresh"],
		['{"sub_refresh":{"channel":"c","token":"t"},"id":11}', "subRefresh"],
		["{}", "pong"],
		['{"subscribe":{"channel":"c"}}', "pong"],
		['{"id":12}', "unknown"],
		['{"id":12,"connect":null}', "unknown"],
		['{"id":12,"teleport":{}}', "unknown"],
		['{"id":12,"subscribe":{},"connect":{}}', "connect"],
	])("%s is %s", (frame, method) => {
		expect(one(frame).method).toBe(method);
	});

	it("may be several in a frame, one per line; those before an error are returned", () => {
		const { commands, error } = decode('{"connect":{},"id":1}\n{"subscribe":{"channel":"a"},"id":2}\r\n{"id":');
		expect(commands.map(({ id, method }) => [id, method])).toEqual([
			[1, "connect"],
			[2, "subscribe"],
		]);
		expect(error?.message).toBe("not JSON: it ends too early, after 6 bytes");
		expect(decode("{}\n").error, "one line feed may end the frame").toBeNull();
	});

	it("carry payloads byte for byte, as views of the frame", () => {
		const frame = Buffer.from('{"publish":{"channel":"c","data":{"n":12345678901234567890.10,  "a":1,"a":2}},"id":1}');
		const { request } = decodeJsonCommands(frame).commands[0] as Extract<Command, { method: "publish" }>;
		expect(request.data.buffer).toBe(frame.buffer);
		expect(Buffer.from(request.data).toString()).toBe('{"n":12345678901234567890.10,  "a":1,"a":2}');
	});

	it.each([
		["", "not JSON: it is empty"],
		["\n", "not JSON: it is empty"],
		["{}\n\n{}", "not JSON: it is empty"],
		["{}\n ", "not JSON: it ends too early, after 1 bytes"],
		["[]", "Command must be an object"],
		["null", "Command must be an object"],
		["{} {}", "not JSON: { is not expected at byte 3"],
		['{"id":-1}', "id must be an integer of 0 to 4294967295"],
		['{"id":4294967296}', "id must be an integer of 0 to 4294967295"],
		['{"id":1.0}', "id must be an integer of 0 to 4294967295"],
		['{"id":1e2}', "id must be an integer of 0 to 4294967295"],
		['{"id":"1"}', "id must be an integer"],
		['{"id":1,"subscribe":{"offset":9007199254740992}}', "offset must be an integer of 0 to 9007199254740991"],
		['{"id":1,"history":{"limit":2147483648}}', "limit must be an integer of -2147483648 to 2147483647"],
		['{"id":1,"subscribe":[]}', "SubscribeRequest must be an object"],
		['{"id":1,"subscribe":{"channel":1}}', "channel must be a string"],
		['{"id":1,"subscribe":{"recover":"true"}}', "recover must be true or false"],
		['{"id":1,"subscribe":{"recover":truth}}', "not JSON: t is not expected at byte 34"],
		['{"id":1,"connect":{"subs":[]}}', "subs must be an object"],
		['{"id":1,"connect":{"subs":{"a":null}}}', "subs must be without null inside"],
		['{"id":1,"subscribe":{"tf":{"vals":"a"}}}', "vals must be an array"],
		[Buffer.from([0x7b, 0xff, 0x7d]), "not UTF-8"],
	])("%s is refused: %s", (frame, message) => {
		expect(problem(frame)).toBe(message);
	});

	it("may nest filters 30 levels deep and no deeper, and payloads to any depth", () => {
		const filter = (depth: number) => `{"id":1,"subscribe":{"tf":${'{"nodes":['.repeat(depth)}${"]}".repeat(depth)}}}`;
		expect(decode(filter(30)).error).toBeNull();
		expect(problem(filter(31))).toBe("messages are nested deeper than 32");
		const deep = `{"id":1,"rpc":{"data":${"[".repeat(30_000)}${"]".repeat(30_000)}}}`;
		expect((one(deep) as Extract<Command, { method: "rpc" }>).request.data).toHaveLength(60_000);
	});
});

const key = fc.constantFrom("id", ...commandMessage.fields.flatMap((field) => [field.jsonName, ...names(field.message?.())]), "other", "é");
function names(type: { fields: readonly { jsonName: string }[] } | undefined): string[] {
	return type === undefined ? [] : type.fields.map(({ jsonName }) => jsonName);
}

/** JSON text with keys that the protocol knows, in any order, some twice, with white space and escapes anywhere. */
const { text } = fc.letrec<{ text: string; object: string }>((tie) => {
	const space = fc.constantFrom("", "", "", " ", "\t", "\r");
	const quoted = (string: fc.Arbitrary<string>) =>
		fc.tuple(string, fc.boolean()).map(([value, escaped]) => {
			const written = JSON.stringify(value);
			return escaped ? written.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`) : written;
		});
	const member = fc.tuple(space, quoted(key), space, tie("text")).map(([a, name, b, value]) => `${a}${name}${b}:${value}`);
	return {
		object: fc.array(member, { maxLength: 5 }).map((members) => `{${members.join(",")}}`),
		text: fc
			.tuple(
				space,
				fc.oneof(
					{ maxDepth: 5, depthSize: "small" },
					fc.constantFrom("null", "true", "false", "0", "1", "-0", "7", "1.5", "-3", "4294967296", "9007199254740993"),
					quoted(arbitraryText()),
					tie("object"),
					tie("object"),
					fc.array(tie("text"), { maxLength: 3 }).map((elements) => `[${elements.join(",")}]`),
				),
				space,
			)
			.map((parts) => parts.join("")),
	};
});

/** Commands that mostly fit, so that more than the faults is compared. */
const likely = fc
	.record(
		{
			id: fc.nat(),
			connect: fc.record(
				{ token: fc.string(), data: fc.jsonValue(), subs: fc.dictionary(fc.string(), fc.record({ offset: fc.nat() })), flag: fc.integer() },
				{ requiredKeys: [] },
			),
			subscribe: fc.record(
				{
					channel: arbitraryText(),
					offset: fc.maxSafeNat(),
					recover: fc.boolean(),
					data: fc.jsonValue(),
					other: fc.jsonValue(),
				},
				{ requiredKeys: [] },
			),
			publish: fc.record({ data: fc.jsonValue(), channel: fc.string() }, { requiredKeys: ["data"] }),
			history: fc.record({ limit: fc.integer(), since: fc.record({ offset: fc.nat(), epoch: fc.string() }) }, { requiredKeys: [] }),
		},
		{ requiredKeys: [] },
	)
	.map((value) => JSON.stringify(value));

function hasKeyTwice(written: string): boolean {
	const keys = (value: unknown): number => {
		if (typeof value !== "object" || value === null) return 0;
		const own = Array.isArray(value) ? 0 : Object.keys(value).length;
		return Object.values(value).reduce((sum: number, element) => sum + keys(element), own);
	};
	return written.replace(/"(?:[^"\\]|\\.)*"/g, "").split(":").length - 1 !== keys(JSON.parse(written));
}

describe("our decoder and JSON.parse agree", () => {
	it("on the contents of commands, and on what is not a command", { tags: ["long"] }, () => {
		fc.assert(
			fc.property(fc.oneof(text, likely), (written) => {
				const { commands, error } = decode(written);
				const expected = modelOf(commandMessage, JSON.parse(written));
				// Of a key that is there twice JSON.parse shows only the last value; the decoder wants the others to fit, too.
				if (expected === null || (error !== null && hasKeyTwice(written))) expect(error).toBeInstanceOf(ProtocolError);
				else {
					expect(error).toBeNull();
					const [command] = commands;
					const method = command.method as keyof typeof expected;
					if ("request" in command) expect(readable(command.request, (payload) => JSON.parse(payload))).toEqual(expected[method]);
					expect(command.id).toBe(expected.id);
				}
			}),
			{ numRuns: stressed(300) },
		);
	});
});
