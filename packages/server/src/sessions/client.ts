import type { CloseCode } from "@shardcast/wire";
import type { ChannelSet } from "./channel-sets.ts";

/**
 * What the shard keeps of each WebSocket: these fields on the socket's own object, no closure, no table entry. With 12,000
 * idle clients every word here is 100 KB.
 */
export interface ClientData {
	/** The clients that hear the same as this one; null once it hears nothing any more. */
	channelSet: ChannelSet | null;
	/** The number that it publishes under; 0 until its first message, since most clients only listen. */
	sender: number;
	/** Its place in the list of all clients. */
	place: number;
	/** The code that it is being closed with; 0 = it is served. */
	leaving: CloseCode | 0;
	/** Its place in the count of its address's connections, -1 = not counted; see `Admission`. */
	addressSlot: number;
	/** As a trusted proxy told it; null = the socket's own remote address. */
	proxiedAddress: string | null;
}

/** A WebSocket as the rest of the shard sees it. uWebSockets.js fulfils it; a test fakes it. */
export interface Client extends ClientData {
	subscribe(topic: string): boolean;
	unsubscribe(topic: string): boolean;
	/** To all subscribers of the topic but this client. */
	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean;
	/** Bytes that wait in this process because the client does not read them fast enough. */
	getBufferedAmount(): number;
	/** Sends a close frame and what is buffered before it. Calls the close handler before it returns. */
	end(code: number, reason: string): void;
	/** Cuts the connection. Calls the close handler before it returns. */
	close(): void;
	getRemoteAddressAsText(): ArrayBuffer;
}

export function addressOf(client: Client): string {
	return client.proxiedAddress ?? Buffer.from(client.getRemoteAddressAsText()).toString("latin1");
}
