import { randomBytes } from "node:crypto";

/** Where a span belongs: its trace, its own id, and what the systems before it passed on (W3C Trace Context). */
export interface TraceContext {
	/** 32 hexadecimal digits. */
	readonly traceId: string;
	/** 16 hexadecimal digits: the span that is the parent of the next one. */
	readonly spanId: string;
	readonly isSampled: boolean;
	/** The header `tracestate`, passed on as it came; "" = none. */
	readonly state: string;
}

/** The names of the headers, in HTTP and in Kafka. */
export const TraceHeader = { parent: "traceparent", state: "tracestate" } as const;

/** Version, trace, parent and flags. A later version may have more after another dash. */
const parentForm = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const parentCharacters = 55;
/** Anybody who may publish can write it: what is longer is left out, as the standard permits. */
const stateCharactersMax = 512;
const stateForm = /^[\x20-\x7e]+$/;
const sampledFlag = 1;
const idBytes = { trace: 16, span: 8 } as const;
const flagsAt = idBytes.trace + idBytes.span;
const headBytes = flagsAt + 1;

/**
 * The context in the headers of a request or record. Null = none, or `traceparent` is not valid: then a new trace may begin here, as the standard says.
 * Costs one look at the length for other texts; never reads more than 622 characters.
 */
export function traceContextOf(parent: string, state: string): TraceContext | null {
	// A longer one is allowed in later versions only. None has so many more fields.
	if (parent.length < parentCharacters || parent.length > 2 * parentCharacters) return null;
	const [, version, traceId = "", spanId = "", flags = "", more] = parentForm.exec(parent) ?? [];
	if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return null;
	if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
	const isSampled = (Number.parseInt(flags, 16) & sampledFlag) !== 0;
	return { traceId, spanId, isSampled, state: state.length <= stateCharactersMax && stateForm.test(state) ? state : "" };
}

/** The header `traceparent` for those who are called next. */
export function traceparentOf({ traceId, spanId, isSampled }: TraceContext): string {
	return `00-${traceId}-${spanId}-0${isSampled ? sampledFlag : 0}`;
}

/** The context of a new span; without a parent, of the first one of a new trace. */
export function nextContext(parent: TraceContext | null): TraceContext {
	const spanId = randomBytes(idBytes.span).toString("hex");
	if (parent !== null) return { ...parent, spanId, isSampled: true };
	return { traceId: randomBytes(idBytes.trace).toString("hex"), spanId, isSampled: true, state: "" };
}

/** As a part of a record: the ids as bytes, the flags, and `tracestate`. */
export function encodeTraceContext({ traceId, spanId, isSampled, state }: TraceContext): Uint8Array {
	const bytes = Buffer.alloc(headBytes + state.length);
	bytes.write(traceId, 0, "hex");
	bytes.write(spanId, idBytes.trace, "hex");
	bytes[flagsAt] = isSampled ? sampledFlag : 0;
	bytes.write(state, headBytes, "latin1");
	return bytes;
}

/** Null = not such a part: records come from other machines, too. */
export function decodeTraceContext(part: Uint8Array): TraceContext | null {
	if (part.length < headBytes || part.length > headBytes + stateCharactersMax) return null;
	const bytes = Buffer.from(part.buffer, part.byteOffset, part.length);
	const state = bytes.toString("latin1", headBytes);
	return {
		traceId: bytes.toString("hex", 0, idBytes.trace),
		spanId: bytes.toString("hex", idBytes.trace, flagsAt),
		isSampled: (bytes[flagsAt]! & sampledFlag) !== 0,
		state: stateForm.test(state) ? state : "",
	};
}
