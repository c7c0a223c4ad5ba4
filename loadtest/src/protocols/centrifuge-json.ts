import { Opcode } from "@shardcast/testkit";
import { channelName } from "../audience.ts";
import { centrifugePath } from "./centrifuge-path.ts";
import type { ClientProtocol, ServerEvents } from "./client-protocol.ts";
import { textPayload } from "./text-payload.ts";

const lineFeed = 0x0a;
const quote = 0x22;
const comma = 0x2c;
const closing = 0x7d;

interface ServerMessage {
	readonly id?: number;
	readonly error?: { readonly code: number; readonly message: string };
	readonly connect?: object;
	readonly subscribe?: object;
	readonly publish?: object;
}

/**
 * The Centrifuge protocol in JSON. Publications of the client's channel are recognised by their first bytes, without a parser and without an
 * allocation: an SDK would be the slower side of the test.
 */
export class CentrifugeJson implements ClientProtocol {
	readonly payload = textPayload;
	readonly opcode = Opcode.text;
	readonly headers = {};
	readonly pong = Buffer.from("{}");
	readonly path = centrifugePath;
	/** What the publications of a channel begin with. */
	readonly #starts = new Map<number, Buffer>();
	#id = 2;

	hello(channel: number): Buffer {
		return Buffer.from(`{"connect":{"name":"loadtest"},"id":1}\n{"subscribe":{"channel":"${channelName(channel)}"},"id":2}`);
	}

	publish(channel: number, payload: Buffer): Buffer {
		const start = Buffer.from(`{"id":${++this.#id},"publish":{"channel":"${channelName(channel)}","data":`);
		return Buffer.concat([start, payload, Buffer.from("}}")]);
	}

	read(bytes: Buffer, start: number, end: number, channel: number, events: ServerEvents): void {
		const prefix = this.#startOf(channel);
		for (let at = start; at < end; ) {
			const payloadStart = at + prefix.length;
			const lineEnd = startsWith(bytes, at, end, prefix)
				? readPublication(bytes, payloadStart, end, events)
				: readOther(bytes, at, end, events);
			at = lineEnd + 1;
		}
	}

	#startOf(channel: number): Buffer {
		let start = this.#starts.get(channel);
		if (start === undefined) {
			start = Buffer.from(`{"push":{"channel":"${channelName(channel)}","pub":{"data":`);
			this.#starts.set(channel, start);
		}
		return start;
	}
}

function startsWith(bytes: Buffer, start: number, end: number, prefix: Buffer): boolean {
	if (end - start < prefix.length) return false;
	for (let index = 0; index < prefix.length; index++) if (bytes[start + index] !== prefix[index]) return false;
	return true;
}

/** @param start of the data. Returns where the line ends. */
function readPublication(bytes: Buffer, start: number, end: number, events: ServerEvents): number {
	let dataEnd = start + 1;
	while (dataEnd < end && bytes[dataEnd] !== quote) dataEnd++;
	dataEnd++;
	const lineEnd = endOfLine(bytes, dataEnd, end);
	// Behind the data come the fields of the publication that the load test does not need.
	const isWhole =
		(bytes[dataEnd] === comma || bytes[dataEnd] === closing) &&
		lineEnd - dataEnd >= 3 &&
		bytes[lineEnd - 1] === closing &&
		bytes[lineEnd - 2] === closing &&
		bytes[lineEnd - 3] === closing;
	if (isWhole) events.publication(start, dataEnd);
	else events.garbage();
	return lineEnd;
}

/** Returns where the line ends. */
function readOther(bytes: Buffer, start: number, end: number, events: ServerEvents): number {
	const lineEnd = endOfLine(bytes, start, end);
	const line = bytes.toString("utf8", start, lineEnd);
	if (line === "{}") {
		events.ping();
		return lineEnd;
	}
	let message: ServerMessage;
	try {
		message = JSON.parse(line) as ServerMessage;
	} catch {
		events.garbage();
		return lineEnd;
	}
	if (message.error !== undefined) events.refused(`${message.error.code} ${message.error.message}`);
	else if (message.subscribe !== undefined) events.subscribed();
	else if (message.connect === undefined && message.publish === undefined) events.garbage();
	return lineEnd;
}

function endOfLine(bytes: Buffer, start: number, end: number): number {
	let at = start;
	while (at < end && bytes[at] !== lineFeed) at++;
	return at;
}
