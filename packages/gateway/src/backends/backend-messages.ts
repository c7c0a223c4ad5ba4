import { encodeFrameHeader, isUrgent } from "../frames/frame-codec.ts";
import { FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";

/** Connections of a link. What waits for the data connection never delays the control connection. */
export type ConnectionKind = "control" | "data";

/** The connection on which frames of this class go. */
export function connectionOf(frameClass: FrameClass): ConnectionKind {
	return isUrgent(frameClass) ? "control" : "data";
}

/** What the gateway tells a backend: messages of class LINK. */
export type BackendMessage =
	| { readonly type: "hello"; readonly version: 1; readonly link: ConnectionKind; readonly backend: number; readonly gateway: string }
	| { readonly type: "clients"; readonly clients: readonly number[] }
	| { readonly type: "client_joined"; readonly client: number }
	| { readonly type: "client_left"; readonly client: number }
	| { readonly type: "ping" };

/** The whole frame. */
export function encodeBackendMessage(backendId: number, message: BackendMessage): Buffer {
	return encodeLinkMessage(backendId, message);
}

/** A frame of class LINK. @param message as JSON. */
export function encodeLinkMessage(backendId: number, message: object): Buffer {
	const text = JSON.stringify(message);
	const length = 1 + Buffer.byteLength(text);
	const bytes = Buffer.allocUnsafe(FrameLayout.headerBytes + length);
	const at = encodeFrameHeader(bytes, 0, length, FrameLayout.everyone, backendId);
	bytes[at + FrameLayout.classOffset] = FrameClass.LINK;
	bytes.write(text, at + 1, "utf8");
	return bytes;
}

const clientsPerMessage = 1000;
/** Of a message without clients, with the class. */
const emptyListBytes = encodeBackendMessage(0, { type: "clients", clients: [] }).length - FrameLayout.headerBytes;
/** Of the longest id, with a comma. */
const idBytesMax = "4294967295,".length;

/** The list of clients, in as many messages as it needs; at least one. @param payloadBytesMax of each: more than 50. */
export function encodeClients(backendId: number, ids: Iterable<number>, payloadBytesMax: number): Buffer[] {
	const clients = [...ids];
	const perMessage = Math.min(clientsPerMessage, Math.floor((payloadBytesMax - emptyListBytes) / idBytesMax));
	const messages: Buffer[] = [];
	for (let from = 0; from === 0 || from < clients.length; from += perMessage)
		messages.push(encodeBackendMessage(backendId, { type: "clients", clients: clients.slice(from, from + perMessage) }));
	return messages;
}

const leftPerWrite = 100;

/** The messages that these clients have left, many in one piece. */
export function encodeClientsLeft(backendId: number, clients: readonly number[]): Buffer[] {
	const pieces: Buffer[] = [];
	for (let from = 0; from < clients.length; from += leftPerWrite)
		pieces.push(
			Buffer.concat(
				clients.slice(from, from + leftPerWrite).map((client) => encodeBackendMessage(backendId, { type: "client_left", client })),
			),
		);
	return pieces;
}
