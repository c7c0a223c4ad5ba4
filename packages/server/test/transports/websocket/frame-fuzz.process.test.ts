import { isDeepStrictEqual } from "node:util";
import { Opcode } from "@shardcast/testkit";
import {
	type ClientStream,
	Compressed,
	clientFrame,
	clientStreams,
	exchangeFrames,
	Fin,
	type FrameHead,
	FrameJudge,
	type FramesTaken,
	framesIn,
	fuzzed,
	fuzzTimeoutMs,
	seed,
} from "@shardcast/testkit/fuzz";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GuardedApp } from "../../../src/transports/websocket/sockets-app.ts";
import { offeredCompression } from "../../../src/transports/websocket/sockets-heads.ts";
import {
	DISABLED,
	SHARED_COMPRESSOR,
	SHARED_DECOMPRESSOR,
	us_listen_socket_close,
	us_socket_local_port,
} from "../../../src/transports/websocket/sockets-native.ts";

// A shard reads frames by uWebSockets.js. The server of the `ws` library is the judge of what it makes of them.

const messageBytesMax = 1000;
const notWrong = "Received TCP FIN before WebSocket close frame";

/** uWebSockets.js as a shard uses it. It writes down what it takes. */
class Library {
	readonly port: number;
	readonly #cases = new Map<string, (taken: FramesTaken) => void>();
	readonly #app = new GuardedApp((callback, error) => {
		throw new Error(`${callback} failed`, { cause: error });
	});
	readonly #stop: () => void;

	constructor(deflate: boolean) {
		const compression = deflate ? SHARED_COMPRESSOR | SHARED_DECOMPRESSOR : DISABLED;
		const webSocket = { compression, maxPayloadLength: messageBytesMax, idleTimeout: 0, sendPingsAutomatically: true };
		this.#app.ws<{ path: string; messages: string[] }>("/*", webSocket, {
			upgrade: (response, request, context) => {
				const data = { path: `${request.getUrl()}?${request.getQuery()}`, messages: [] };
				response.upgrade(data, request.getHeader("sec-websocket-key"), "", offeredCompression(request), context);
			},
			open: () => {},
			message: ({ messages }, message, isBinary) => {
				messages.push(`${isBinary ? "binary" : "text"}:${Buffer.from(message).toString("hex")}`);
			},
			close: ({ path, messages }, code, reason) => {
				const end = code !== 1006 ? code : Buffer.from(reason).toString() === notWrong ? "no close frame" : "wrong";
				this.#cases.get(path)?.({ messages, end });
				this.#cases.delete(path);
			},
		});
		let port = 0;
		let stop = (): void => {};
		this.#app.listen("127.0.0.1", 0, 0, (socket) => {
			if (socket === false) throw new Error("it does not listen");
			port = us_socket_local_port(socket as never);
			stop = () => us_listen_socket_close(socket);
		});
		this.port = port;
		this.#stop = stop;
	}

	takes(path: string): Promise<FramesTaken> {
		return new Promise((resolve) => this.#cases.set(path, resolve));
	}

	close(): void {
		this.#stop();
		this.#app.close();
	}
}

interface Outcome extends FramesTaken {
	readonly stayedOpen: boolean;
	readonly pongs: readonly string[];
	readonly closeCode: number | null;
}

/** What a stream has to do with a difference, and what both made of it. */
interface Difference {
	readonly stream: ClientStream;
	readonly frames: readonly FrameHead[];
	readonly ours: Outcome;
	readonly theirs: Outcome;
}

const isData = ({ first }: FrameHead) => (first & 15) <= 2;
const isCompressed = ({ first }: FrameHead) => (first & Compressed) !== 0;

/** Differences that hurt nobody, or that only uWebSockets.js can end. Everything else fails the test. */
const known: readonly { readonly why: string; readonly applies: (difference: Difference) => boolean }[] = [
	{
		why: "uWebSockets.js does not look at the mask bit: it takes four bytes for a mask. Who sends none garbles only his own messages.",
		applies: ({ frames }) => frames.some(({ isMasked }) => !isMasked),
	},
	{
		why: "uWebSockets.js lets some messages begin within another, and joins them. All checks are for what comes out.",
		applies: ({ frames }) =>
			frames.filter(isData).some((frame, index, all) => index > 0 && (all[index - 1]!.first & Fin) === 0 && (frame.first & 15) !== 0),
	},
	{
		why: "uWebSockets.js inflates a message as soon as one of its fragments has the bit for it, and control frames with it. The limits apply.",
		applies: ({ frames }) => frames.some((frame) => isCompressed(frame) && (frame.first & 15) !== 1 && (frame.first & 15) !== 2),
	},
	{
		why: "uWebSockets.js refuses compressed data with a final block, and ws does not. Clients send none.",
		applies: ({ frames, ours, theirs }) => frames.some(isCompressed) && ours.end === "wrong" && theirs.end !== "wrong",
	},
	{
		why: "uWebSockets.js takes the head of a compressed frame for wrong if it has a long length and arrives in two reads: see the security page.",
		applies: ({ stream, frames, ours }) => {
			let at = 0;
			const cuts = stream.pieces.map(({ length }) => (at += length));
			const isCut = (frame: FrameHead) => cuts.some((cut) => cut >= frame.at + 6 && cut < frame.at + frame.headBytes);
			return ours.end === "wrong" && frames.some((frame) => isCompressed(frame) && isCut(frame));
		},
	},
	{
		why: "uWebSockets.js does not know the close codes 1012 to 1014 and 3000 to 3999: to a shard, such a client is gone without a code.",
		applies: ({ ours, theirs: { end } }) =>
			ours.end === "wrong" && typeof end === "number" && ((end >= 1012 && end <= 1014) || (end >= 3000 && end < 4000)),
	},
	{
		why: "uWebSockets.js reads a close frame of one byte as one without a code.",
		applies: ({ ours, theirs }) => ours.end === 1005 && theirs.end === "wrong",
	},
	{
		why: "ws refuses some frames as soon as their heads are there, uWebSockets.js only when they are complete.",
		applies: ({ ours, theirs }) => ours.end === "no close frame" && !ours.stayedOpen && theirs.end === "wrong",
	},
];

/** What must be the same. A client that is cut off, by whomever, need not get the last pongs. */
const comparable = ({ messages, end, stayedOpen, pongs, closeCode }: Outcome) =>
	stayedOpen || typeof end === "number" ? { messages, end, stayedOpen, pongs, closeCode } : { messages, end };

const shifted = Buffer.concat([
	clientFrame(Fin | Opcode.ping, "", { mask: null }),
	clientFrame(Fin | Opcode.text, "a", { mask: Buffer.from([0, 0, Fin | Opcode.binary, 0x80 | 125]) }),
]);
/** Two whole frames. To uWebSockets.js, the first four bytes of the second are the mask of the first, and the rest begins a longer one. */
const withinAnotherFrame: ClientStream = {
	bytes: shifted,
	pieces: [shifted],
	story: ["ping unmasked", "text with part of a head as its mask"],
};

describe.each([
	{ name: "without compression", deflate: false },
	{ name: "with permessage-deflate", deflate: true },
])(`any frames of a client $name (seed ${seed})`, ({ deflate }) => {
	let library: Library;
	let judge: FrameJudge;
	let cases = 0;
	let same = 0;
	beforeAll(async () => {
		library = new Library(deflate);
		judge = await FrameJudge.open({ messageBytesMax, deflate });
	});
	afterAll(async () => {
		library.close();
		await judge.close();
	});

	const headers = deflate
		? { "Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover; server_no_context_takeover" }
		: {};
	const ask = async (server: Library | FrameJudge, bytes: Buffer, pieces: readonly Buffer[]): Promise<Outcome> => {
		const path = `/?case=${++cases}`;
		const taken = server.takes(path);
		const endsWithinFrame = !framesIn(bytes, { takesAllForMasked: server === library }).isWhole;
		const { stayedOpen, pongs, closeCode } = await exchangeFrames({ port: server.port, path, headers, pieces, endsWithinFrame });
		return { ...(await taken), stayedOpen, pongs, closeCode };
	};

	it("are taken as ws takes them", { timeout: fuzzTimeoutMs(0.5) }, async () => {
		const check = async (stream: ClientStream): Promise<void> => {
			// The judge gets all at once: ws 8.23 throws when pieces arrive while it inflates.
			const [ours, theirs] = await Promise.all([ask(library, stream.bytes, stream.pieces), ask(judge, stream.bytes, [stream.bytes])]);
			if (isDeepStrictEqual(comparable(ours), comparable(theirs))) same++;
			else if (!known.some(({ applies }) => applies({ stream, frames: framesIn(stream.bytes).frames, ours, theirs })))
				expect(comparable(ours), `the frames of the client:\n${stream.story.join("\n")}\n`).toEqual(comparable(theirs));
		};
		const streams = fc.array(clientStreams({ messageBytesMax, deflate }), { minLength: 1, maxLength: 8, size: "max" });
		await fc.assert<[ClientStream[]]>(
			fc.asyncProperty(streams, async (all) => void (await Promise.all(all.map(check)))),
			{ ...fuzzed(10, 0.5), examples: [[[withinAnotherFrame]]] },
		);
		expect(same, "most are compared").toBeGreaterThan(cases / 2 / 2);
	});
});
