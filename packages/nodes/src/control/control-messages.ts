import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";

/** A question that one node puts to all others. JSON on the control channel. */
interface ControlRequest {
	/** Random number of this question. */
	readonly id: string;
	/** The asking node, and the instance of its process, whose channel gets the answers. */
	readonly node: string;
	readonly instance: string;
	readonly question: string;
	readonly request: unknown;
}

/** The answer of one node, sent on the channel of the asking process. */
export type ControlAnswer = { readonly id: string; readonly node: string } & (
	| { readonly parts: readonly unknown[] }
	| { readonly error: string }
);

/** Longest messages on the wire, and longest answer after decompression. */
export const controlLimits = { requestBytes: 524_288, answerBytes: 2 * 1024 * 1024, inflatedBytes: 32 * 1024 * 1024 } as const;

/** Longer answers are compressed. */
const compressFrom = 16_384;
const version = 1;
const idPattern = /^[\w.-]{1,64}$/;
const errorMax = 500;

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** @throws Error when it is too long. */
export function writeRequest(request: ControlRequest): string {
	const text = JSON.stringify({ version, ...request });
	if (Buffer.byteLength(text) > controlLimits.requestBytes) throw new Error(`it has more than ${controlLimits.requestBytes} bytes`);
	return text;
}

/** @throws Error that says what is wrong with it. */
export function readRequest(message: Buffer): ControlRequest {
	if (message.length > controlLimits.requestBytes) throw new Error(`it has ${message.length} bytes`);
	const { id, node, instance, question, request } = parsed(message);
	return { id: idOf(id), node: idOf(node), instance: idOf(instance), question: textOf(question), request };
}

/** Encodes as JSON. A long answer is compressed and begins with a byte 1. @throws Error when it is too long. */
export async function writeAnswer(answer: ControlAnswer): Promise<Buffer> {
	const text = Buffer.from(JSON.stringify({ version, ...answer }));
	if (text.length > controlLimits.inflatedBytes) throw new Error(`the answer has more than ${controlLimits.inflatedBytes} bytes`);
	const bytes = text.length < compressFrom ? text : Buffer.concat([Buffer.of(1), await deflate(text, { level: 1 })]);
	if (bytes.length > controlLimits.answerBytes)
		throw new Error(`the answer has more than ${controlLimits.answerBytes} bytes, although compressed`);
	return bytes;
}

/** @throws Error that says what is wrong with it. */
export async function readAnswer(message: Buffer): Promise<ControlAnswer> {
	if (message.length > controlLimits.answerBytes) throw new Error(`it has ${message.length} bytes`);
	const text = message[0] === 1 ? await inflate(message.subarray(1), { maxOutputLength: controlLimits.inflatedBytes }) : message;
	const { id, node, parts, error } = parsed(text);
	const from = { id: idOf(id), node: idOf(node) };
	if (typeof error === "string") return { ...from, error: error.slice(0, errorMax) };
	if (!Array.isArray(parts)) throw new Error("it has no parts");
	return { ...from, parts };
}

function parsed(text: Buffer): Readonly<Record<string, unknown>> {
	const data = JSON.parse(text.toString()) as unknown;
	if (typeof data !== "object" || data === null) throw new Error("it is not an object");
	const fields = data as Readonly<Record<string, unknown>>;
	if (fields.version !== version) throw new Error("it has another version");
	return fields;
}

function idOf(value: unknown): string {
	if (typeof value !== "string" || !idPattern.test(value)) throw new Error("an id is invalid");
	return value;
}

function textOf(value: unknown): string {
	if (typeof value !== "string" || value.length > 64) throw new Error("the question is invalid");
	return value;
}
