import { FrameClass, FrameLayout, frameClassCount } from "./frame-descriptor.ts";

// Single bytes instead of a DataView: a view over each received piece would be an object per piece.

/** The number in four bytes, from 0 to 2^32 - 1. */
export function readU32(bytes: Uint8Array, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value >>> 24;
	bytes[at + 1] = value >>> 16;
	bytes[at + 2] = value >>> 8;
	bytes[at + 3] = value;
}

/** Writes the header of a frame on TCP. @param length of the payload. @returns the offset of the payload. */
export function encodeFrameHeader(into: Uint8Array, at: number, length: number, clientId: number, backendId: number): number {
	writeU32(into, at + FrameLayout.lengthOffset, length);
	writeU32(into, at + FrameLayout.clientOffset, clientId);
	writeU32(into, at + FrameLayout.backendOffset, backendId);
	return at + FrameLayout.headerBytes;
}

/** Why a WebSocket message is not a frame, or null. A message that is a frame may still be of a class that nobody knows. */
export function messageProblem(message: Uint8Array, payloadBytesMax: number): "too_short" | "too_long" | null {
	const length = message.length - FrameLayout.messageHeaderBytes;
	if (length < FrameLayout.payloadBytesMin) return "too_short";
	return length > payloadBytesMax ? "too_long" : null;
}

/** The class in a payload's first byte, or -1 if there is no such class. */
export function classOf(payload: Uint8Array, at = 0): FrameClass | -1 {
	return knownClass(payload[at + FrameLayout.classOffset]!);
}

/** The class with this number, or -1 if there is none. */
export function knownClass(value: number): FrameClass | -1 {
	return value < frameClassCount ? (value as FrameClass) : -1;
}

/** Which class a payload of class ACK acknowledges; -1 if it is none that there is. */
export function ackedClass(payload: Uint8Array, at = 0): FrameClass | -1 {
	const ackedAt = at + FrameLayout.ackedClassOffset;
	return payload.length <= ackedAt ? FrameClass.VIDEO : knownClass(payload[ackedAt]!);
}

/** Whether a frame of this class may be dropped to make room for a newer one. None that is urgent may: `LinkOutbox` counts on that. */
export function mayDrop(frameClass: number): boolean {
	return frameClass === FrameClass.VIDEO;
}

/** Whether frames of this class take the high lane to a client, and the control connection to a backend. */
export function isUrgent(frameClass: number): boolean {
	return frameClass === FrameClass.CONTROL || frameClass === FrameClass.ACK || frameClass === FrameClass.LINK;
}

/** Whether clients acknowledge frames of this class to the gateway, which sends them no more than their `AckWindow` allows. Such may be dropped. */
export function hasWindow(frameClass: number): boolean {
	return frameClass === FrameClass.VIDEO;
}
