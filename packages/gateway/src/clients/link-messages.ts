import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { BufferShare } from "../buffers/buffer-share.ts";
import { Frame } from "../buffers/frame.ts";
import { FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";

/** A backend as clients are told about it. */
export interface KnownBackend {
	readonly id: number;
	readonly address: string;
	/** As it has announced itself. Absent = it has no name. */
	readonly name?: string;
	readonly up: boolean;
}

/** Why a frame was not passed on. */
export const refusalReasons = ["unknown_backend", "backend_down", "too_long"] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** What the gateway itself tells a client: messages of class LINK. */
export type LinkMessage =
	| { readonly type: "welcome"; readonly version: 1; readonly client: number; readonly backends: readonly KnownBackend[] }
	| ({ readonly type: "backend" } & KnownBackend)
	| { readonly type: "refused"; readonly backend: number; readonly class: number; readonly reason: RefusalReason };

/** The message as a frame with one reference; null when there is no buffer for it. @param clientId of the receiver; 0 = all. @param share its own. */
export function linkFrame(pool: BufferPool, clientId: number, share: BufferShare | null, message: LinkMessage): Frame | null {
	const text = JSON.stringify(message);
	const frame = pool.take(1 + Buffer.byteLength(text), null, share);
	if (frame === null) return null;
	frame.bytes[Frame.payloadAt] = FrameClass.LINK;
	frame.bytes.write(text, Frame.payloadAt + 1, "utf8");
	frame.seal(clientId, FrameLayout.everyone);
	return frame;
}
