import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonCodec } from "../../src/index.ts";
import { damage, seconds } from "../fuzz.ts";

const frames = [
	'{"connect":{"token":"t","data":{"a":[1]},"name":"js","subs":{"news":{"recover":true,"offset":5,"epoch":"x7"}},"headers":{"a":"b"}},"id":1}',
	'{"subscribe":{"channel":"chat:42","tf":{"op":"and","nodes":[{"key":"k","vals":["x"]}]},"flag":1},"id":2}\n{"publish":{"channel":"c","data":"\\u00e9"},"id":3}',
	'{"history":{"channel":"c","limit":-1,"since":{"offset":3,"epoch":"x7"}},"id":8}\n{"send":{"data":null}}\n{}',
].map((frame) => Buffer.from(frame));

describe("damaged JSON frames", () => {
	it("are decoded or refused: no other error is thrown, and nothing beyond the frame is read", () => {
		fc.assert(
			fc.property(damage(frames), (frame) => {
				// Behind the frame lies what would complete it.
				const memory = new Uint8Array(Buffer.concat([frame, Buffer.from('}}]}"}}')]));
				const whole = jsonCodec.decodeCommands(memory.subarray(0, frame.length));
				const alone = jsonCodec.decodeCommands(new Uint8Array(frame));
				expect(whole.commands).toEqual(alone.commands);
				expect(whole.error?.message).toBe(alone.error?.message);
			}),
			{ numRuns: stressed(300) },
		);
	});

	const size = 65_536;
	const fill = (unit: string, before = "", after = "") =>
		Buffer.from(before + unit.repeat(Math.floor((size - before.length - after.length) / unit.length)) + after);
	it.each([
		["pongs", fill("{}\n")],
		["line feeds", fill("\n")],
		["brackets", fill("[", '{"id":1,"rpc":{"data":')],
		["objects", fill('{"tf":', '{"id":1,"subscribe":')],
		["filters", fill('{"nodes":[', '{"id":1,"subscribe":{"tf":')],
		["wide filters", fill("{},", '{"id":1,"subscribe":{"tf":{"nodes":[', "{}]}}}")],
		["one key many times", fill('"connect":{},', "{", '"id":1}')],
		["white space", fill(" ", '{"id":', "1}")],
		["a long number", fill("9", '{"id":', "}")],
		["escapes", fill("\\u0041", '{"id":1,"publish":{"channel":"', '"}}')],
		["unknown escaped keys", fill('"\\u0041":1,', "{", '"id":1}')],
		["colliding map keys", fill('"__proto__":{},', '{"id":1,"connect":{"subs":{', '"a":{}}}}')],
		["a string that never ends", fill("a", '{"id":1,"publish":{"channel":"')],
	])("%s: 64 KiB take milliseconds", { tags: ["long"] }, (_, frame) => {
		jsonCodec.decodeCommands(frame);
		expect(seconds(() => jsonCodec.decodeCommands(frame))).toBeLessThan(1);
	});
});
