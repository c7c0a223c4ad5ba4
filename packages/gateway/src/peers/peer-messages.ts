import { encodeLinkMessage } from "../backends/backend-messages.ts";
import { type RefusalReason, refusalReasons } from "../clients/link-messages.ts";
import { FrameLayout } from "../frames/frame-descriptor.ts";

/** What the process that is connected to a backend tells another one: messages of class LINK. */
export type OwnerMessage =
	| { readonly type: "up" }
	| { readonly type: "down" }
	/** It stops, or the backend has been removed: send what is under way, and end. */
	| { readonly type: "leaving" }
	| { readonly type: "refused"; readonly client: number; readonly class: number; readonly reason: RefusalReason };

/** The whole frame. */
export function encodeOwnerMessage(message: OwnerMessage): Buffer {
	return encodeLinkMessage(FrameLayout.everyone, message);
}

/** @param text JSON from another process of this version. @returns null for what is not understood. */
export function readOwnerMessage(text: string): OwnerMessage | null {
	const message = objectIn(text);
	switch (message?.type) {
		case "up":
		case "down":
		case "leaving":
			return { type: message.type };
		case "refused": {
			const { client, class: frameClass, reason } = message;
			const known = refusalReasons.find((each) => each === reason);
			return isId(client) && typeof frameClass === "number" && known !== undefined
				? { type: "refused", client, class: frameClass, reason: known }
				: null;
		}
		default:
			return null;
	}
}

/** What another process tells about its clients. */
export interface ClientNews {
	readonly type: "clients" | "client_joined" | "client_left";
	readonly clients: readonly number[];
}

/** It has heard that the backend was removed: it sends no more, and waits for `leaving`. */
export interface RemovedNews {
	readonly type: "removed";
}

/** Reads `removed`, and `clients`, `client_joined` and `client_left`, which are as for a backend. @returns null for what is not understood. */
export function readNews(text: string): ClientNews | RemovedNews | null {
	const message = objectIn(text);
	switch (message?.type) {
		case "removed":
			return { type: "removed" };
		case "clients":
			return Array.isArray(message.clients) && message.clients.every(isId) ? { type: "clients", clients: message.clients } : null;
		case "client_joined":
		case "client_left":
			return isId(message.client) ? { type: message.type, clients: [message.client] } : null;
		default:
			return null;
	}
}

function objectIn(text: string): Record<string, unknown> | null {
	try {
		const value: unknown = JSON.parse(text);
		return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
	} catch {
		return null;
	}
}

function isId(value: unknown): value is number {
	return Number.isInteger(value) && (value as number) > 0 && (value as number) <= 0xffff_ffff;
}
