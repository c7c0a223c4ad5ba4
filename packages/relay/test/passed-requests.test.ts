import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Refusal, Refusals } from "../src/answer/refusal.ts";
import { HeadParser } from "../src/head/head.ts";
import { PassedRequests } from "../src/pass/passed-requests.ts";
import { anyBytes, decodeChunks, splitAt } from "./support/chunks.ts";

/** One client's requests, and what the shard gets of them. */
class Rig {
	/** By head as it was passed on: what was written behind it. */
	readonly passed: { readonly head: string; body: string }[] = [];
	readonly refusals: { readonly code: string; readonly what: string }[] = [];
	readonly isHead: boolean[] = [];
	judged: Refusal | null = null;
	#rewritten: Buffer | null = null;
	readonly requests = new PassedRequests({
		headBytesMax: 1024,
		rewrite: (bytes, head) => {
			const text = bytes.toString("latin1", 0, head.bytes);
			this.#rewritten = Buffer.from(text.slice(0, text.indexOf(" HTTP")));
			return this.#rewritten;
		},
		judge: () => this.judged,
		write: (bytes) => {
			if (bytes === this.#rewritten) this.passed.push({ head: bytes.toString(), body: "" });
			else this.passed.at(-1)!.body += bytes.toString("latin1");
		},
		onPassed: ({ isHead }) => this.isHead.push(isHead),
		onRefused: ({ code }, what, isHead) => this.refusals.push({ code, what, ...(isHead && { isHead }) }),
	});

	begin(text: string): void {
		const bytes = Buffer.from(text, "latin1");
		const head = new HeadParser();
		head.parse(bytes, bytes.length);
		this.requests.begin(bytes, head);
	}

	push(text: string): void {
		this.requests.push(Buffer.from(text, "latin1"));
	}

	/** Each request on its way, in short. */
	get all(): string {
		return this.passed.map(({ head, body }) => `<${head}>${body}`).join("");
	}
}

const get = (path: string, ...lines: string[]) => [`GET ${path} HTTP/1.1`, "Host: a", ...lines, "", ""].join("\r\n");
const post = (path: string, body: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe("requests of a proxied connection", () => {
	it("are passed on one by one, each when the previous response is complete", () => {
		const rig = new Rig();
		rig.begin(post("/1", "one") + get("/2") + post("/3", "three"));
		expect(rig.all).toBe("<POST /1>one");
		expect([rig.requests.wantsMore, rig.requests.awaitsAnswer]).toEqual([false, true]);
		rig.requests.answered();
		expect(rig.all).toBe("<POST /1>one<GET /2>");
		rig.requests.answered();
		expect(rig.all).toBe("<POST /1>one<GET /2><POST /3>three");
		rig.requests.answered();
		expect([rig.requests.wantsMore, rig.requests.awaitsAnswer]).toEqual([true, false]);
	});

	it("are not confused with what looks like a request inside a body", () => {
		const rig = new Rig();
		const inner = get("/smuggled", "X-Real-IP: 6.6.6.6");
		rig.begin(post("/1", inner));
		rig.requests.answered();
		rig.push(
			`POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\nGET: /\r\n\r\n`,
		);
		rig.requests.answered();
		rig.push(get("/3"));
		expect(rig.passed.map(({ head }) => head)).toEqual(["POST /1", "POST /2", "GET /3"]);
	});

	it("wait for an answer that comes before the body is there, but not for a second one", () => {
		const rig = new Rig();
		rig.begin("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
		rig.requests.answered();
		expect(rig.requests.wantsMore).toBe(true);
		rig.push(`two${get("/2")}`);
		expect(rig.all).toBe("<POST /1>onetwo<GET /2>");
	});

	it("are refused when they are malformed, too long, or not allowed; nothing more is passed on then", () => {
		const bad = [
			["GET /2 HTTP/1.1\r\nHost : a\r\n\r\n", "bad_request", "head"],
			[get("/2", "X: ".padEnd(1100, "x")), "head_too_long", "head"],
			[get("/2", ...Array.from({ length: 95 }, () => "X: a")), "head_too_long", "head"],
			["POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_request", "head"],
			["POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "bad_request", "body"],
		] as const;
		for (const [text, code, what] of bad) {
			const rig = new Rig();
			rig.begin(get("/1"));
			rig.requests.answered();
			rig.push(text + get("/3"));
			rig.push(get("/4"));
			rig.requests.answered();
			expect(rig.refusals, text).toEqual([{ code, what }]);
			expect(rig.all).not.toMatch(/\/[34]/);
			expect(rig.requests.wantsMore).toBe(false);
		}
		const rig = new Rig();
		rig.judged = Refusals.forbidden;
		rig.begin(get("/1"));
		expect(rig.refusals, "the first has been judged").toEqual([]);
		rig.requests.answered();
		rig.push(get("/2"));
		expect(rig.refusals).toEqual([{ code: "origin_not_allowed", what: "head" }]);
	});

	it("show which of them ask only for a head", () => {
		const rig = new Rig();
		rig.begin(get("/1").replace("GET", "HEAD"));
		rig.requests.answered();
		rig.push(get("/2"));
		expect(rig.isHead).toEqual([true, false]);
	});

	it("leave the bytes after an upgrade request to the WebSocket", () => {
		const rig = new Rig();
		rig.begin(`${get("/ws")}frames`);
		rig.push(" and more");
		expect(rig.requests.end().toString()).toBe("frames and more");
		expect(rig.all).toBe("<GET /ws>");
	});

	it("arrive unchanged, however their bytes are split and however soon they are answered", { tags: ["long"] }, () => {
		const body = anyBytes({ maxLength: 30 });
		const request = fc.oneof(
			fc.constant({ text: get("/g"), head: "GET /g", body: "" }),
			body.map((data) => ({ text: post("/p", data), head: "POST /p", body: data })),
			body.map((data) => {
				const chunk = data === "" ? "" : `${data.length.toString(16)};x\r\n${data}\r\n`;
				return {
					text: `PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\nT: x\r\n\r\n`,
					head: "PUT /c",
					body: data,
				};
			}),
		);
		fc.assert(
			fc.property(fc.array(request, { minLength: 1, maxLength: 5 }), fc.array(fc.nat(), { maxLength: 8 }), (requests, cuts) => {
				const rig = new Rig();
				const all = requests.map(({ text }) => text).join("");
				const headEnd = all.indexOf("\r\n\r\n") + 4;
				rig.begin(all.slice(0, headEnd));
				for (const piece of splitAt(all.slice(headEnd), cuts)) {
					rig.push(piece);
					while (rig.requests.awaitsAnswer) rig.requests.answered();
				}
				const seen = rig.passed.map(({ head, body: bytes }) => ({ head, body: head === "PUT /c" ? decodeChunks(bytes) : bytes }));
				expect(seen).toEqual(requests.map(({ head, body: data }) => ({ head, body: data })));
				expect(rig.refusals).toEqual([]);
			}),
			{ numRuns: stressed(500) },
		);
	});
});
