import { encodeFrameHeader, FrameClass, FrameLayout } from "@shardcast/gateway";
import { encodeFrame, Opcode } from "@shardcast/testkit";
import { monotonicMs } from "@shardcast/wire";

/** Payload of a VIDEO frame, with its class. */
export const videoBytes = 200;
/** Payload of a CONTROL frame: its class, and two stamps. */
const controlBytes = 9;

const { headerBytes, messageHeaderBytes, messageBackendOffset, clientOffset } = FrameLayout;
/** Within a message. */
const classAt = messageHeaderBytes;
const stampAt = messageHeaderBytes + 1;
const secondStampAt = stampAt + 4;

/** Now, in microseconds of a clock that all processes share; it begins again every 71 minutes. */
export function stamp(): number {
	return (monotonicMs() * 1000) >>> 0;
}

export function sinceMs(stamped: number): number {
	return ((stamp() - stamped) >>> 0) / 1000;
}

/** VIDEO for each of these clients, as it goes over TCP. */
export function videoFrames(clients: readonly number[]): Buffer {
	const bytes = Buffer.alloc(clients.length * videoFrameBytes, 0x55);
	for (const [index, client] of clients.entries()) {
		const payloadAt = encodeFrameHeader(bytes, index * videoFrameBytes, videoBytes, client, 0);
		bytes[payloadAt] = FrameClass.VIDEO;
	}
	return bytes;
}

export const videoFrameBytes = headerBytes + videoBytes;
/** Where a frame on TCP has its message. */
export const messageAt = clientOffset;

/** A WebSocket message as a client gets it from the gateway. */
export function videoMessage(): Buffer {
	return Buffer.from(videoFrames([1]).subarray(messageAt));
}

export function stampMessage(bytes: Buffer, at: number, now: number): void {
	bytes.writeUInt32BE(now, at + stampAt);
}

/** The clients' WebSocket frames are masked; written once, they can be sent again and again. */
export function ackFrame(backendId: number): Buffer {
	const message = Buffer.alloc(messageHeaderBytes + 2);
	message.writeUInt32BE(backendId, messageBackendOffset);
	message[classAt] = FrameClass.ACK;
	message[classAt + 1] = FrameClass.VIDEO;
	return encodeFrame(Opcode.binary, message, { masked: true });
}

export function controlMessage(backendId: number, now: number): Buffer {
	const message = Buffer.alloc(messageHeaderBytes + controlBytes);
	message.writeUInt32BE(backendId, messageBackendOffset);
	message[classAt] = FrameClass.CONTROL;
	stampMessage(message, 0, now);
	return message;
}

/** The answer of a backend: both ids stay, and the second stamp is added. */
export function controlAnswer(frame: Buffer): Buffer {
	const answer = Buffer.from(frame);
	answer.writeUInt32BE(stamp(), messageAt + secondStampAt);
	return answer;
}

/** Reads are by offset, so that a message makes no object. */
export const read = {
	frameClass: (bytes: Buffer, at: number): number => bytes[at + classAt]!,
	backendId: (bytes: Buffer, at: number): number => bytes.readUInt32BE(at + messageBackendOffset),
	stamped: (bytes: Buffer, at: number): number => bytes.readUInt32BE(at + stampAt),
	answered: (bytes: Buffer, at: number): number => bytes.readUInt32BE(at + secondStampAt),
} as const;
