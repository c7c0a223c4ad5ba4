import { httpErrors } from "@shardcast/http";
import { balancerCounters } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { Refusals, refusalAnswer, withMessage } from "../src/answer/refusal.ts";

const entries = Object.entries(Refusals);

describe("refusals", () => {
	it.each(entries)("%s is a whole HTTP answer with a JSON body, after which the connection closes", (_, refusal) => {
		const text = refusalAnswer(refusal, false).toString();
		const [head, body] = text.split("\r\n\r\n");
		const [status, ...lines] = head.split("\r\n");
		expect(status).toMatch(new RegExp(`^HTTP/1\\.1 ${httpErrors[refusal.code].status} [A-Z]`));
		expect(lines).toContain("Connection: close");
		expect(lines).toContain("Content-Type: application/json");
		expect(lines).toContain(`Content-Length: ${Buffer.byteLength(body)}`);
		expect(JSON.parse(body)).toEqual({ error: { code: refusal.code, message: refusal.message } });
	});

	it.each(entries)("%s has no body when the request is a HEAD, and otherwise the same head", (_, refusal) => {
		// Some refusals spread the clients that come again: a random number of seconds.
		const answer = (isHead: boolean) =>
			refusalAnswer(refusal, isHead)
				.toString()
				.replace(/(Retry-After: )\d+/, "$1N");
		const [head] = answer(false).split("\r\n\r\n");
		expect(answer(true)).toBe(`${head}\r\n\r\n`);
	});

	it("has a separate code for each, and a counter that exists", () => {
		expect(new Set(entries.map(([, { code }]) => code)).size).toBe(entries.length);
		const counters = balancerCounters.map(([name]) => name);
		for (const [, { counter }] of entries) expect(counters).toContain(counter);
	});

	it("escapes text that comes from a client", () => {
		const answer = refusalAnswer(withMessage(Refusals.badRequest, 'a "quoted"\r\nline'), false).toString();
		expect(answer.split("\r\n\r\n")).toHaveLength(2);
		expect(JSON.parse(answer.split("\r\n\r\n")[1]).error.message).toBe('a "quoted"\r\nline');
	});
});
