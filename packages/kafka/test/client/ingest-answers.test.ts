import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { AnswerBuffers } from "../../src/client/answer-buffers.ts";
import { AnswerFrames, frameBytesMax } from "../../src/client/answer-frames.ts";
import { plainSocketFactory } from "../../src/client/broker-socket.ts";
import { FetchAnswers } from "../../src/protocol/fetch-answers.ts";
import type { ProtocolRequest } from "../../src/protocol/fetch-protocol.ts";

function answer(correlation: number, body: Uint8Array): Buffer {
	const head = Buffer.alloc(8);
	head.writeInt32BE(4 + body.length, 0);
	head.writeInt32BE(correlation, 4);
	return Buffer.concat([head, body]);
}

/** Writes `bytes` into the frames' room, at most `step` at a time, as a socket would. */
function feed(frames: AnswerFrames, bytes: Buffer, step: number): void {
	for (let at = 0; at < bytes.length; ) {
		const room = frames.room();
		expect(room.length).toBeGreaterThan(0);
		const count = bytes.copy(room, 0, at, Math.min(at + step, at + room.length));
		frames.written(count);
		at += count;
	}
}

describe("answers of a broker", () => {
	it("come out whole and in order, however they are cut, and larger than the buffers, which are used again meanwhile", () => {
		fc.assert(
			fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), fc.integer({ min: 1, max: 700 }), (bodies, step) => {
				const buffers = new AnswerBuffers(128);
				buffers.connections = 1;
				const seen: Buffer[] = [];
				const held: Buffer[] = [];
				const frames = new AnswerFrames(buffers, (frame, buffer) => {
					seen.push(Buffer.from(frame));
					held.push(buffer);
					// Given back late, and then filled with what would be seen if anything still lay in it.
					if (held.length > 1) buffers.give(held.shift()!.fill(0xee));
				});
				feed(frames, Buffer.concat(bodies.map((body, index) => answer(index, body))), step);
				expect(seen).toEqual(bodies.map((body, index) => answer(index, body)));
			}),
		);
	});

	it("are refused before any memory is taken for them when their size is none", () => {
		for (const size of [-1, 3, frameBytesMax]) {
			const frames = new AnswerFrames(new AnswerBuffers(64), () => {});
			const head = Buffer.alloc(4);
			head.writeInt32BE(size, 0);
			expect(() => feed(frames, head, 4)).toThrow(`an answer of ${size} bytes`);
		}
	});
});

describe("a socket to a broker", () => {
	it("gathers nothing once it is closed, however often kafkajs ends it", async () => {
		const server = createServer((socket) => void socket.end()).listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as { port: number };
		const socket = plainSocketFactory({ host: "127.0.0.1", port, ssl: undefined as never, onConnect: () => {} }) as Socket;
		socket.resume();
		await once(socket, "close");
		const before = socket.listenerCount("connect");
		for (let attempt = 0; attempt < 20; attempt++) {
			socket.end();
			socket.unref();
		}
		expect(socket.listenerCount("connect")).toBe(before);
		server.close();
	});
});

describe("buffers of answers", () => {
	it("are the same ones again, and never more than two kept for a connection", () => {
		const buffers = new AnswerBuffers(64);
		buffers.connections = 1;
		const taken = Array.from({ length: 5 }, () => buffers.take(10));
		expect(new Set(taken).size).toBe(5);
		for (const buffer of taken) buffers.give(buffer);
		const again = Array.from({ length: 5 }, () => buffers.take(10));
		expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(2);
	});

	it("grow for one large answer, and only for that", () => {
		const buffers = new AnswerBuffers(64);
		buffers.connections = 1;
		const large = buffers.take(1000);
		expect(large.length).toBe(1000);
		buffers.give(large);
		expect(buffers.take(64).length).toBe(64);
	});
});

describe("answers to fetches", () => {
	const open: (Server | Socket)[] = [];
	afterEach(() => {
		for (const each of open.splice(0)) each instanceof Socket ? each.destroy() : each.close();
	});

	/** A broker of a few lines, and what kafkajs' connection is to us: something that sends and matches by correlation id. */
	async function connection(answers: FetchAnswers, reply: (apiKey: number, correlation: number) => Buffer) {
		const server = createServer((socket) => {
			open.push(socket);
			socket.on("data", (data) => {
				for (let at = 0; at < data.length; at += 4 + data.readInt32BE(at))
					socket.write(reply(data.readInt16BE(at + 4), data.readInt32BE(at + 8)));
			});
		}).listen(0, "127.0.0.1");
		open.push(server);
		await once(server, "listening");
		const { port } = server.address() as { port: number };
		const waiting = new Map<number, (body: Buffer) => void>();
		const socket = answers.socketFactory({ host: "127.0.0.1", port, ssl: undefined as never, onConnect: () => {} }) as Socket;
		open.push(socket);
		const seen: Buffer[] = [];
		socket.on("data", (data: Buffer) => {
			seen.push(data);
			waiting.get(data.readInt32BE(4))?.(data.subarray(8));
		});
		await once(socket, "connect");
		let correlation = 0;
		return {
			seen,
			send: async <T>({ request, response }: ProtocolRequest<T>): Promise<T> => {
				const id = correlation++;
				const bytes = Buffer.alloc(12);
				bytes.writeInt32BE(8, 0);
				bytes.writeInt16BE(request.apiKey, 4);
				bytes.writeInt32BE(id, 8);
				const body = new Promise<Buffer>((resolve) => waiting.set(id, resolve));
				socket.write(bytes);
				return response.parse(await response.decode(await body));
			},
		};
	}

	const request = (apiKey: number): ProtocolRequest<Buffer> => ({
		request: { apiKey, apiVersion: 0, apiName: "", encode: () => Promise.reject(new Error("not used")) },
		response: { decode: async (body) => body, parse: async (body) => body },
		requestTimeout: 1000,
	});

	it("go past the connection, in buffers that come again after release; all others go through it", async () => {
		const answers = new FetchAnswers(1024);
		const body = (correlation: number) => Buffer.alloc(900, correlation + 1);
		const to = await connection(answers, (_apiKey, correlation) => answer(correlation, body(correlation)));
		const other = await to.send(request(3));
		expect(other).toEqual(body(0));
		const memories = new Set<ArrayBufferLike>();
		for (let round = 1; round <= 8; round++) {
			const { answer: got, release } = await answers.send(to, request(1));
			expect(got).toEqual(body(round));
			memories.add(got.buffer);
			release();
		}
		expect(memories.size).toBeLessThanOrEqual(3);
		expect(to.seen.slice(1).every((data) => data.length < 20)).toBe(true);
		// What kafkajs was given itself is not written over by later answers.
		expect(other).toEqual(body(0));
	});

	it("are told from each other when none is released", async () => {
		const answers = new FetchAnswers(64);
		const to = await connection(answers, (_apiKey, correlation) => answer(correlation, Buffer.alloc(50, correlation)));
		const got: Buffer[] = [];
		for (let round = 0; round < 6; round++) got.push((await answers.send(to, request(1))).answer);
		expect(got).toEqual(got.map((_, round) => Buffer.alloc(50, round)));
	});
});
