import type { Opcode } from "@shardcast/testkit";
import type { PayloadFormat } from "./payload-format.ts";

/** Callbacks for the contents of a frame from the server, in order. */
export interface ServerEvents {
	/** A message of the client's channel; its payload is `bytes[start … end)` of the frame. */
	publication(start: number, end: number): void;
	/** The client's channel is subscribed: from now on it gets everything. */
	subscribed(): void;
	/** The server did not do what the client asked for. */
	refused(reason: string): void;
	/** Must be answered with `pong`. */
	ping(): void;
	/** Nothing that a server may send. */
	garbage(): void;
}

/** How the clients of a load test speak to the server. No state of a connection: one for all of them. */
export interface ClientProtocol {
	readonly payload: PayloadFormat;
	/** Of all frames, in both directions. */
	readonly opcode: typeof Opcode.text | typeof Opcode.binary;
	/** The path to connect to. @param channel -1 = everything. */
	path(path: string, channel: number): string;
	readonly headers: Readonly<Record<string, string>>;
	/** What a client sends when it is open; it counts as connected when it is subscribed. Null = it is at once. */
	hello(channel: number): Buffer | null;
	/** A frame that publishes. */
	publish(channel: number, payload: Buffer): Buffer;
	readonly pong: Buffer | null;
	/** Takes a frame apart. @param channel that the client listens to. */
	read(bytes: Buffer, start: number, end: number, channel: number, events: ServerEvents): void;
}
