import { type PresencePart, type PresentClient, type PresentClients, presenceLimits, withinLimits } from "@shardcast/control";

/** A client that presence may list, whatever its protocol. */
export interface Member {
	readonly id: string;
	readonly user: string;
	/** JSON that other clients may see; null = none. */
	readonly info: Uint8Array | null;
	/** The info of its subscription to one channel, likewise JSON or null. */
	channelInfo(channel: string): Uint8Array | null;
}

/** This shard's subscribers of channels with presence. One owner, the shard's loop. Bounded by the number of subscriptions. */
export class Presence {
	readonly #channels = new Map<string, Set<Member>>();

	/** Channels with subscribers. */
	get channelCount(): number {
		return this.#channels.size;
	}

	join(channel: string, member: Member): void {
		let present = this.#channels.get(channel);
		if (present === undefined) {
			present = new Set();
			this.#channels.set(channel, present);
		}
		present.add(member);
	}

	/** Does nothing if the client is not listed. */
	leave(channel: string, member: Member): void {
		const present = this.#channels.get(channel);
		if (present?.delete(member) && present.size === 0) this.#channels.delete(channel);
	}

	/** How many clients of this shard it lists. */
	count(channel: string): number {
		return this.#channels.get(channel)?.size ?? 0;
	}

	/** Null = too many. */
	clients(channel: string): PresentClients {
		const present = this.#channels.get(channel);
		if (present !== undefined && present.size > presenceLimits.clients) return null;
		const clients = Array.from(present ?? [], (member): PresentClient => {
			const { id, user, info } = member;
			const channelInfo = member.channelInfo(channel);
			return {
				client: id,
				user,
				...(info !== null && { info: Buffer.from(info).toString() }),
				...(channelInfo !== null && { channelInfo: Buffer.from(channelInfo).toString() }),
			};
		});
		return withinLimits(clients);
	}

	part(channel: string): PresencePart {
		const present = this.#channels.get(channel);
		return { clients: present?.size ?? 0, users: [...new Set(Array.from(present ?? [], ({ user }) => user))] };
	}
}
