import { describe, expect, it } from "vitest";
import { type ErrorCode, headerPairs, httpErrors, refusal, replyBytes } from "../src/index.ts";

const codes = Object.keys(httpErrors) as ErrorCode[];

describe("errors", () => {
	it.each(codes)("%s: is an HTTP error with a sentence, in JSON, on one line", (code) => {
		const { status, message, close } = httpErrors[code];
		expect(status).toBeGreaterThanOrEqual(400);
		expect(message).not.toBe("");
		const reply = refusal(code);
		expect(reply).toMatchObject({ status, close });
		expect(reply.body).toMatch(/^[^\n]*\n$/);
		expect(JSON.parse(String(reply.body))).toEqual({ error: { code, message } });
	});

	it("say when to come back exactly where that helps", () => {
		for (const code of codes) {
			const mayHelp = [429, 503].includes(httpErrors[code].status);
			expect(Number(refusal(code).headers["Retry-After"] ?? 0) > 0, code).toBe(mayHelp);
		}
	});

	it("may say more, add headers, and leave a connection open whose request was read", () => {
		expect(refusal("too_large", "why", { close: false, headers: { "X-A": "b" } })).toMatchObject({ close: false, headers: { "X-A": "b" } });
		expect(refusal("unavailable", "why", { headers: { "X-A": "b" } }).headers).toEqual({ "Retry-After": "1", "X-A": "b" });
	});
});

describe("a reply in bytes", () => {
	it("is whole, of the right length in bytes, and ends its connection", () => {
		const text = replyBytes(refusal("cluster_full", 'zwölf "Plätze"\r\nHTTP/1.1')).toString();
		const [head, body, more] = text.split("\r\n\r\n");
		expect(more).toBeUndefined();
		expect(head.split("\r\n")).toEqual([
			"HTTP/1.1 503 Service Unavailable",
			"Content-Type: application/json",
			`Content-Length: ${Buffer.byteLength(body)}`,
			"Retry-After: 5",
			"Connection: close",
		]);
		expect(JSON.parse(body).error.message).toBe('zwölf "Plätze"\r\nHTTP/1.1');
	});

	it("has neither type nor length where there is no body", () => {
		expect(headerPairs({ status: 204, body: "", headers: { Allow: "GET" }, close: false })).toEqual([["Allow", "GET"]]);
	});
});
