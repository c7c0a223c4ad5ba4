import type { Session } from "../../src/sessions/session.ts";
import { Sent, type TopicTransport, type Transport } from "../../src/transports/transport.ts";
import type { SendingPeer } from "../contracts/transport-contract.ts";

/** Topics of transports in memory. */
export class FakeTopics {
	readonly #subscribers = new Map<string, Set<FakeTransport>>();

	publish(topic: string, message: Uint8Array, isBinary: boolean, except?: FakeTransport): boolean {
		const subscribers = [...(this.#subscribers.get(topic) ?? [])].filter((subscriber) => subscriber !== except);
		for (const subscriber of subscribers) subscriber.send(message, isBinary);
		return subscribers.length > 0;
	}

	publishToOthers(sender: TopicTransport, topic: string, message: Uint8Array, isBinary: boolean): void {
		sender.publish(topic, message, isBinary);
	}

	subscribe(topic: string, subscriber: FakeTransport): boolean {
		let subscribers = this.#subscribers.get(topic);
		if (subscribers === undefined) {
			subscribers = new Set();
			this.#subscribers.set(topic, subscribers);
		}
		if (subscribers.has(subscriber)) return false;
		subscribers.add(subscriber);
		return true;
	}

	unsubscribe(topic: string, subscriber: FakeTransport): boolean {
		return this.#subscribers.get(topic)?.delete(subscriber) ?? false;
	}

	/** Those that a transport is subscribed to. */
	of(subscriber: FakeTransport): string[] {
		return [...this.#subscribers].filter(([, subscribers]) => subscribers.has(subscriber)).map(([topic]) => topic);
	}

	forget(subscriber: FakeTransport): void {
		for (const subscribers of this.#subscribers.values()) subscribers.delete(subscriber);
	}
}

/** A WebSocket in memory, and the client at its other end: what uWebSockets.js does, at once and on command. */
export class FakeTransport implements TopicTransport {
	static readonly bufferedBytesMax = 64 * 1024;
	/** The client. */
	readonly peer: SendingPeer;
	readonly #topics: FakeTopics;
	readonly #session: Session<TopicTransport>;
	readonly #received: string[] = [];
	#end!: (how: { code: number; reason: string }) => void;
	#waiting: { readonly text: string; readonly bytes: number }[] = [];
	#parts: { readonly isBinary: boolean; readonly bytes: Buffer[] } | null = null;
	/** Messages that came in parts. */
	sentInParts = 0;
	#paused = false;
	#closed = false;

	constructor(topics: FakeTopics, session: Session<TopicTransport>) {
		this.#topics = topics;
		this.#session = session;
		this.peer = {
			received: () => this.#received,
			ended: new Promise((resolve) => {
				this.#end = resolve;
			}),
			pause: () => {
				this.#paused = true;
			},
			resume: () => this.#resume(),
			leave: (code) => this.#finish(code, "", true),
			send: (message) => session.frame(new Uint8Array(Buffer.from(message as string)).buffer, typeof message !== "string"),
		};
	}

	send(message: string | Uint8Array, isBinary: boolean): Sent {
		this.#mustBeOpen();
		if (this.#parts !== null) throw new Error("a message between the parts of another one");
		return this.#take(message, isBinary);
	}

	sendFirstFragment(part: Uint8Array, isBinary: boolean): Sent {
		if (this.#parts !== null) throw new Error("two messages in parts at once");
		this.#parts = { isBinary, bytes: [] };
		return this.#takePart(part, "");
	}

	sendFragment(part: Uint8Array): Sent {
		return this.#takePart(part, "");
	}

	sendLastFragment(part: Uint8Array): Sent {
		const { isBinary, bytes } = this.#parts!;
		this.#parts = null;
		this.sentInParts++;
		const text = Buffer.concat([...bytes, part]).toString();
		return this.#takePart(part, `${isBinary ? "binary:" : ""}${text}`);
	}

	#takePart(part: Uint8Array, received: string): Sent {
		this.#mustBeOpen();
		this.#parts?.bytes.push(Buffer.from(part));
		if (!this.#paused) {
			if (received !== "") this.#received.push(received);
			return Sent.written;
		}
		this.#waiting.push({ text: received, bytes: part.length });
		return Sent.buffered;
	}

	#take(message: string | Uint8Array, isBinary: boolean): Sent {
		if (this.getBufferedAmount() > FakeTransport.bufferedBytesMax) {
			this.#session.dropped();
			return Sent.dropped;
		}
		const text = `${isBinary ? "binary:" : ""}${Buffer.from(message as string).toString()}`;
		if (!this.#paused) {
			this.#received.push(text);
			return Sent.written;
		}
		this.#waiting.push({ text, bytes: Buffer.byteLength(text) });
		return Sent.buffered;
	}

	getBufferedAmount(): number {
		this.#mustBeOpen();
		return this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
	}

	end(code: number, reason: string): void {
		this.#finish(code, reason, true);
	}

	close(): void {
		this.#finish(1006, "", false);
	}

	getRemoteAddressAsText(): ArrayBuffer {
		this.#mustBeOpen();
		return new TextEncoder().encode("127.0.0.1").buffer as ArrayBuffer;
	}

	subscribe(topic: string): boolean {
		this.#mustBeOpen();
		return this.#topics.subscribe(topic, this);
	}

	unsubscribe(topic: string): boolean {
		this.#mustBeOpen();
		return this.#topics.unsubscribe(topic, this);
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		this.#mustBeOpen();
		return this.#topics.publish(topic, message, isBinary, this);
	}

	/** Those that it is subscribed to. */
	get topics(): string[] {
		return this.#topics.of(this);
	}

	#resume(): void {
		this.#paused = false;
		if (this.#waiting.length === 0) return;
		this.#received.push(...this.#waiting.splice(0).flatMap(({ text }) => (text === "" ? [] : [text])));
		if (!this.#closed) this.#session.writable();
	}

	#finish(code: number, reason: string, whole: boolean): void {
		if (this.#closed) return;
		this.#closed = true;
		if (!whole) this.#waiting = [];
		this.#topics.forget(this);
		this.#session.closed(code);
		this.#end({ code, reason });
	}

	#mustBeOpen(): void {
		if (this.#closed) throw new Error("the transport is closed");
	}
}

/** A transport without topics, such as an event stream. */
export const withoutTopics = (client: FakeTransport): Transport => ({
	send: (message, isBinary) => client.send(message, isBinary),
	getBufferedAmount: () => client.getBufferedAmount(),
	end: (code, reason) => client.end(code, reason),
	close: () => client.close(),
	getRemoteAddressAsText: () => client.getRemoteAddressAsText(),
});
