import type { Namespaces } from "@shardcast/channels";
import { encodePublisherInfo, RecordType } from "@shardcast/wire";
import type { AnnouncementType } from "../../delivery/publishing/publisher.ts";
import type { Presence } from "../centrifuge/presence.ts";
import type { RawUserSession } from "./raw-user-session.ts";

export interface RawMembersParts {
	/** Looked up at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	/** Covers clients of all protocols. */
	readonly presence: () => Pick<Presence, "join" | "leave">;
	/** Tells the subscribers of a channel, on all shards, that a client has joined or left. */
	readonly announce: (type: AnnouncementType, channel: string, info: Uint8Array) => void;
}

/** The channels that list a client and those that announced it, by the options that applied when it connected. */
export interface ShownIn {
	readonly present: readonly string[];
	readonly announced: readonly string[];
}

/** Adds authenticated raw clients to presence, and announces their joins and leaves, where the namespace has these. */
export class RawMembers {
	readonly #parts: RawMembersParts;

	constructor(parts: RawMembersParts) {
		this.#parts = parts;
	}

	/** The client has connected. Null = no channel lists or announces it. */
	show(client: RawUserSession): ShownIn | null {
		const { namespaces, presence } = this.#parts;
		const channels = client.channels.map((name) => namespaces().of(name)).filter(({ error, isPattern }) => error === null && !isPattern);
		const present = channels.filter(({ options }) => options.presence).map(({ name }) => name);
		const announced = channels.filter(({ options }) => options.joinLeave).map(({ name }) => name);
		for (const name of present) presence().join(name, client);
		for (const name of announced) this.#announce(RecordType.join, name, client);
		return present.length + announced.length === 0 ? null : { present, announced };
	}

	/** The client has disconnected. */
	hide(client: RawUserSession, { present, announced }: ShownIn): void {
		for (const name of present) this.#parts.presence().leave(name, client);
		for (const name of announced) this.#announce(RecordType.leave, name, client);
	}

	#announce(type: AnnouncementType, channel: string, client: RawUserSession): void {
		const { id, user, info } = client;
		const chanInfo = client.channelInfo(channel);
		const described = { client: id, user, ...(info !== null && { connInfo: info }), ...(chanInfo !== null && { chanInfo }) };
		this.#parts.announce(type, channel, encodePublisherInfo(described));
	}
}
