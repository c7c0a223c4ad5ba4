import { waitFor } from "@shardcast/testkit";
import { SharedBuffers } from "../../src/backends/backend-connection.ts";
import { BackendLink, type OwnLinkListener } from "../../src/backends/backend-link.ts";
import type { ConnectionKind } from "../../src/backends/backend-messages.ts";
import { type LinkOptions, linkDefaults } from "../../src/backends/link-options.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import type { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { FrameDecision } from "../../src/frames/frame-reader.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { FakeBackend } from "./fake-backend.ts";
import { closing } from "./leaves-nothing.ts";

/** Pauses that a test can wait for. */
export const quick: LinkOptions = {
	...linkDefaults,
	dialMs: 20_000,
	stableMs: 60_000,
	reconnect: { firstMs: 10, mostMs: 20, jitter: 0 },
};

/** A backend that is closed after the test. */
export async function openBackend(port?: number): Promise<FakeBackend> {
	const backend = await FakeBackend.open(port);
	closing(() => backend.close());
	return backend;
}

/**
 * A clock that stands still while this process does, so that there are many turns of the event loop in each tenth of a second. For a backend of this
 * process that answers in time.
 */
export function busyClock(): () => number {
	let nowMs = 0;
	const ticks = setInterval(() => {
		nowMs += 5;
	}, 5);
	closing(() => clearInterval(ticks));
	return () => nowMs;
}

interface RigOptions extends Partial<LinkOptions> {
	readonly clients?: readonly number[];
	readonly pool?: BufferPool;
	readonly buffers?: SharedBuffers;
	readonly listener?: Partial<OwnLinkListener>;
	readonly nowMs?: () => number;
}

/** A link to a port of this machine, and what it tells its owner. It is stopped after the test. */
export function linkRig(
	port: number,
	{ clients = [], pool = new BufferPool(), buffers = new SharedBuffers(), listener = {}, nowMs, ...options }: RigOptions = {},
) {
	const events: string[] = [];
	const frames: {
		readonly frameClass: number;
		readonly clientId: number;
		readonly backendId: number;
		readonly text: string;
		readonly from: string;
	}[] = [];
	const undelivered: string[] = [];
	const full = new Set<ConnectionKind>();
	const link = new BackendLink({
		...{ id: 3, address: `127.0.0.1:${port}`, host: "127.0.0.1", port, gatewayId: "0123456789abcdef" },
		options: { ...quick, ...options },
		pool,
		buffers,
		...(nowMs !== undefined && { nowMs }),
		log: { info: () => {}, warn: (...words: unknown[]) => void events.push(`log ${String(words.at(-1))}`) },
		listener: {
			begin: (_link, _class, _length, _client, from) => (full.has(from) ? FrameDecision.wait : FrameDecision.take),
			onFrame: (_, frame, from) => {
				const text = frame.bytes.toString("latin1", 17, frame.end);
				frames.push({ frameClass: frame.frameClass, clientId: frame.clientId, backendId: frame.backendId, text, from });
			},
			onUp: () => events.push("up"),
			onDown: (_, why) => events.push(`down ${why}`),
			onUndelivered: (_, frame) => undelivered.push(frame.bytes.toString("latin1", 17, frame.end)),
			clients: () => clients,
			...listener,
		},
	});
	closing(() => link.stop());
	return {
		link,
		pool,
		events,
		/** Without lines of the log. */
		get states(): string[] {
			return events.filter((each) => !each.startsWith("log"));
		},
		frames,
		undelivered,
		/** From now on there is no room for frames that come on this connection: the next one waits, and nothing behind it is read. */
		hold(kind: ConnectionKind): void {
			full.add(kind);
		},
		/** There is room again. */
		letGo(kind: ConnectionKind): void {
			full.delete(kind);
			link.resume(kind);
		},
		/** A frame as from a client. */
		send(frameClass: FrameClass, text: string | Buffer, clientId = 7, budget = new HeldBudget()) {
			const content = Buffer.from(text as string);
			const frame = pool.take(1 + content.length)!;
			frame.bytes[16] = frameClass;
			content.copy(frame.bytes, 17);
			// As one that goes to all backends.
			frame.seal(clientId, 0);
			const sent = link.send(frame, budget);
			frame.release();
			return sent;
		},
		async up(): Promise<void> {
			link.start();
			await waitFor(() => link.isUp, { what: "the link is up", deadlineMs: 20_000 });
		},
	};
}
