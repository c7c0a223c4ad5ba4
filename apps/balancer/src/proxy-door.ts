import { createServer, type Server, type Socket } from "node:net";
import { type Address, addressKeyOf } from "@shardcast/service";
import { DeadlineSet } from "./deadline-set.ts";
import { type Door, DoorLimits } from "./door.ts";
import { GrowingBytes } from "./growing-bytes.ts";
import { HeadParser, HeadStatus } from "./head.ts";
import { backlog } from "./listener.ts";
import type { Candidate, Picker } from "./pick.ts";
import { proxyHead } from "./proxy-head.ts";
import { type Reception, Verdict, whyNoRoom } from "./reception.ts";
import { because, type Refusal, Refusals } from "./refusal.ts";
import { RoomQueue } from "./room-queue.ts";
import { Splice } from "./splice.ts";
import { until } from "./until.ts";

/** Resolves once the loop has looked at all its sockets. */
const turnOfLoop = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

export interface ProxyDoorOptions {
	readonly reception: Reception;
	readonly picker: Picker;
	readonly headBytesMax: number;
	readonly headTimeoutMs: number;
	/** Where the shards' own ports listen. */
	readonly shardHost: string;
	readonly token: string;
	/** Descriptors that this process may have open. A proxied connection takes two. */
	readonly descriptorsMax: number;
}

/** A client on its way to a shard. */
interface Guest {
	readonly socket: Socket;
	readonly head: HeadParser;
	readonly bytes: GrowingBytes;
	/** Shards that may still be dialled for it. */
	dialsLeft: number;
	readonly onData: (piece: Buffer) => void;
	readonly onEnd: () => void;
}

/** A port that does not answer is left alone for a moment, so a client tries few of them. */
const dialsMax = 4;

/**
 * Accept, read the head, pick, dial the shard's own port, splice. For platforms without handoff; needs nothing native. One per
 * process. Bounds: `DoorLimits`, and as many connections as there are descriptors for.
 */
export class ProxyDoor implements Door {
	readonly #options: ProxyDoorOptions;
	readonly #reception: Reception;
	readonly #picker: Picker;
	readonly #waiting: DeadlineSet<Guest>;
	readonly #room: RoomQueue<Guest>;
	readonly #splices = new Set<Splice>();
	readonly #server: Server;
	#isStopping = false;

	constructor(options: ProxyDoorOptions) {
		this.#options = options;
		this.#reception = options.reception;
		this.#picker = options.picker;
		this.#waiting = new DeadlineSet({
			lifetimeMs: options.headTimeoutMs,
			itemsMax: DoorLimits.headsMax,
			expire: (guest) => this.#refuse(guest, Refusals.headTimeout),
		});
		this.#room = new RoomQueue({
			waitMs: DoorLimits.roomMs,
			heldUpMs: DoorLimits.heldUpMs,
			areHeldUp: () => this.#picker.allSilent,
			itemsMax: DoorLimits.roomMax,
			look: () => this.#picker.look(),
			place: (guest) => this.#place(guest),
			placed: () => {},
			refuse: (guest) => this.#refuse(guest, whyNoRoom(this.#picker, this.#isStopping)),
		});
		this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#admit(socket));
	}

	set headTimeoutMs(value: number) {
		this.#waiting.lifetimeMs = value;
	}

	get pending(): number {
		return this.#waiting.size + this.#room.size + this.#reception.leaving;
	}

	open(address: Address): Promise<number> {
		// Those of a balancer before this one died with it.
		this.#picker.look();
		for (const { row } of this.#picker.candidates) row.proxiedOpen = 0;
		return new Promise((resolve, reject) => {
			this.#server.once("error", reject);
			this.#server.listen({ ...address, backlog }, () => {
				this.#server.removeListener("error", reject);
				this.#server.on("error", () => this.#reception.count("acceptErrors", 1));
				const bound = this.#server.address();
				resolve(bound !== null && typeof bound === "object" ? bound.port : 0);
			});
		});
	}

	tick(): void {
		this.#picker.look();
	}

	async drain(deadlineMs: number): Promise<number> {
		this.#isStopping = true;
		this.#server.close();
		// What has come and lies in the kernel is read now, since who has not sent a byte has asked for nothing.
		await turnOfLoop();
		for (const { socket } of this.#waiting.take(({ bytes }) => bytes.length === 0)) socket.destroy();
		await until(() => this.pending === 0 && this.#splices.size === 0, deadlineMs);
		return this.close();
	}

	close(): number {
		this.#isStopping = true;
		this.#server.close();
		const guests = [...this.#waiting.take(), ...this.#room.take()];
		for (const { socket } of guests) socket.destroy();
		const splices = [...this.#splices];
		for (const splice of splices) splice.cut();
		return guests.length + splices.length + this.#reception.close();
	}

	#admit(socket: Socket): void {
		this.#reception.count("accepted", 1);
		const guest: Guest = {
			socket,
			head: new HeadParser(),
			bytes: new GrowingBytes(),
			dialsLeft: dialsMax,
			onData: (piece) => this.#onData(guest, piece),
			onEnd: () => this.#onEarlyEnd(guest),
		};
		// Who is one too many hears so once its request is known: /health is to be answered when no client fits any more.
		if (this.#descriptorsNeeded() >= this.#options.descriptorsMax - DoorLimits.descriptorsSpare / 2) {
			this.#refuse(guest, Refusals.descriptors);
			return;
		}
		this.#waiting.add(guest);
		socket.on("data", guest.onData);
		socket.on("end", guest.onEnd);
		socket.on("close", guest.onEnd);
		// Without a listener an error would be the process's; "close" follows it.
		socket.on("error", () => {});
	}

	/** Descriptors once those that have been let through have their second one. */
	#descriptorsNeeded(): number {
		return 2 * (this.#splices.size + this.#room.size) + this.#waiting.size + this.#reception.leaving;
	}

	/** The client has closed before its head was complete. */
	#onEarlyEnd(guest: Guest): void {
		if (!this.#waiting.delete(guest)) return;
		this.#reception.count("closedEarly", 1);
		guest.socket.destroy();
	}

	#onData(guest: Guest, piece: Buffer): void {
		const { head, bytes } = guest;
		const { headBytesMax } = this.#options;
		bytes.append(piece);
		const status = head.parse(bytes.buffer, bytes.length);
		const isTooLong = status === HeadStatus.complete ? head.bytes > headBytesMax : bytes.length >= headBytesMax;
		if (status === HeadStatus.malformed)
			this.#refuse(guest, because(Refusals.badRequest, `this is not an HTTP/1.1 request: ${head.problem}`));
		else if (isTooLong) this.#refuse(guest, Refusals.headTooLong);
		else if (status === HeadStatus.complete) this.#settle(guest);
	}

	#settle(guest: Guest): void {
		const { socket, head, bytes } = guest;
		switch (this.#reception.judge(head, bytes.buffer)) {
			case Verdict.answer:
				this.#letGo(guest);
				this.#reception.answer(socket, Buffer.from(bytes.buffer.subarray(0, head.bytes)));
				break;
			case Verdict.forbidden:
				this.#refuse(guest, Refusals.forbidden);
				break;
			default: {
				if (this.#descriptorsNeeded() + 1 > this.#options.descriptorsMax - DoorLimits.descriptorsSpare) {
					this.#refuse(guest, Refusals.descriptors);
					break;
				}
				const { rates } = this.#reception;
				const refusal = head.isUpgrade && !rates.isOff ? this.#reception.overRate(addressKeyOf(socket.remoteAddress ?? "")) : null;
				if (refusal !== null) {
					this.#refuse(guest, refusal);
					break;
				}
				this.#letGo(guest);
				this.#picker.look();
				if (!this.#place(guest)) this.#room.add(guest);
			}
		}
	}

	/** Its head is no longer waited for, and nothing more is read from it for now. */
	#letGo(guest: Guest): void {
		this.#waiting.delete(guest);
		const { socket, onData, onEnd } = guest;
		socket.off("data", onData).off("end", onEnd).off("close", onEnd).pause();
	}

	#refuse(guest: Guest, refusal: Refusal): void {
		this.#letGo(guest);
		this.#reception.refuse(guest.socket, refusal);
	}

	#place(guest: Guest): boolean {
		if (guest.socket.destroyed) {
			this.#reception.count("closedEarly", 1);
			return true;
		}
		const candidate = this.#picker.pick(guest.head.isUpgrade);
		if (candidate === null) return false;
		this.#dial(guest, candidate);
		return true;
	}

	#dial(guest: Guest, candidate: Candidate): void {
		const { socket, head, bytes } = guest;
		const first = proxyHead(bytes.buffer, head, socket.remoteAddress ?? "", this.#options.token);
		const body = bytes.all().subarray(head.bytes);
		const open = (change: number) => {
			candidate.own += change;
			if (head.isUpgrade) candidate.ownUpgrades += change;
			candidate.row.proxiedOpen = candidate.own;
		};
		open(1);
		const target = { host: this.#options.shardHost, port: candidate.row.port };
		const splice = new Splice(socket, target, body.length === 0 ? [first] : [first, body], {
			onConnected: () => this.#reception.count("proxied", 1),
			onShardClosed: (wasConnected) => {
				open(-1);
				this.#splices.delete(splice);
				if (!wasConnected) this.#onDialFailed(guest, candidate);
				else if (!socket.destroyed) this.#reception.seeOff(socket);
			},
		});
		this.#splices.add(splice);
	}

	#onDialFailed(guest: Guest, candidate: Candidate): void {
		if (guest.socket.destroyed) {
			this.#reception.count("closedEarly", 1);
			return;
		}
		this.#reception.count("dialErrors", 1);
		this.#picker.shun(candidate);
		if (--guest.dialsLeft === 0) {
			this.#refuse(guest, because(Refusals.noShard, "no shard could be reached"));
			return;
		}
		this.#picker.look();
		if (!this.#place(guest)) this.#room.add(guest);
	}
}
