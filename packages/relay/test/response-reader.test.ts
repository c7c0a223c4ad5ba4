import { describe, expect, it } from "vitest";
import { ResponseReader } from "../src/pass/response-reader.ts";

const answer = (status: number, lines: string[], body = "") =>
	`HTTP/1.1 ${status} X\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
const ok = answer(200, ["Content-Type: text/plain", "content-length:  3"], "abc");

/** The progress after each piece, for one request. */
function read(pieces: readonly string[], isHeadRequest = false): string[] {
	const reader = new ResponseReader();
	reader.expect(isHeadRequest);
	return pieces.map((piece) => reader.take(Buffer.from(piece, "latin1")));
}

describe("the end of a response", () => {
	it("comes with the last byte of its length, wherever the bytes are split", () => {
		for (let cut = 1; cut < ok.length; cut++) expect(read([ok.slice(0, cut), ok.slice(cut)])).toEqual(["more", "complete"]);
		expect(read([...ok]).filter((progress) => progress !== "more")).toEqual(["complete"]);
		expect(read([answer(200, ["Content-Length: 0"])])).toEqual(["complete"]);
	});

	it.each([
		["an answer to HEAD", answer(200, ["Content-Length: 3"]), true],
		["204", answer(204, []), false],
		["304", answer(304, ["Content-Length: 3"]), false],
	])("%s has no body", (_, text, isHeadRequest) => {
		expect(read([text], isHeadRequest)).toEqual(["complete"]);
	});

	it("is not the end of an interim response", () => {
		expect(read([answer(100, []), ok])).toEqual(["more", "complete"]);
		expect(read([answer(100, []) + ok])).toEqual(["complete"]);
	});

	it("does not come in a stream, which is told once", () => {
		const stream = answer(200, ["Connection: close", "Transfer-Encoding: chunked"], "3\r\nabc\r\n");
		expect(read([stream, "3\r\nabc\r\n", "0\r\n\r\n"])).toEqual(["stream", "more", "more"]);
		expect(read([answer(200, ["Connection: close", "Content-Length: 3"], "abc")])).toEqual(["more"]);
	});

	it("does not come from the shard after a last answer without a body: the client closes then", () => {
		expect(read([answer(204, ["Connection: close"])])).toEqual(["stream"]);
		expect(read([answer(426, ["Connection: close", "Content-Length: 99"])], true)).toEqual(["stream"]);
		expect(read([answer(204, [])])).toEqual(["complete"]);
	});

	it("is where the connection becomes a WebSocket", () => {
		const switching = answer(101, ["Upgrade: websocket", "Connection: Upgrade"]);
		expect(read([`${switching}\x81\x02hi`])).toEqual(["switched"]);
		expect(read([answer(426, ["Content-Length: 0"])])).toEqual(["complete"]);
	});

	it.each([
		["a word that the connection closes", answer(200, ["Content-Length: 0", "Connection: close"])],
		["no length", answer(200, [], "x")],
		["chunks", answer(200, ["Transfer-Encoding: chunked", "Content-Length: 0"])],
		["more bytes than its length", `${ok}d`],
		["another protocol", "SSH-2.0\r\n\r\n"],
		["an endless head", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}`],
	])("never comes with %s: no further request is passed on then", (_, text) => {
		expect(read([text, ok, ok])).toEqual(["more", "more", "more"]);
	});

	it("is found for each of several responses", () => {
		const reader = new ResponseReader();
		for (let round = 0; round < 3; round++) {
			reader.expect(false);
			expect(reader.take(Buffer.from(ok))).toBe("complete");
		}
		expect(reader.take(Buffer.from(ok)), "to no request").toBe("more");
	});
});
