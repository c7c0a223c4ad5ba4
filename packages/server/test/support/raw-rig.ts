import { type Config, defaultConfig } from "@shardcast/config";
import type { Reply } from "@shardcast/http";
import { AddressTable } from "@shardcast/limits";
import { silentLog } from "@shardcast/telemetry";
import { decodePublisherInfo, publishAccepted, RecordType } from "@shardcast/wire";
import { Hub } from "../../src/hub/hub.ts";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";
import { UserLimit } from "../../src/limits/user-limit.ts";
import { Presence } from "../../src/sessions/centrifuge/presence.ts";
import { Verifiers } from "../../src/sessions/centrifuge/tokens/verifiers.ts";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { RawEndpoint } from "../../src/sessions/raw/raw-endpoint.ts";
import type { RawSession } from "../../src/sessions/raw/raw-session.ts";
import { SenderIds } from "../../src/sessions/sender-ids.ts";
import { ClientList } from "./client-list.ts";
import { FakeTopics, FakeTransport } from "./fake-transport.ts";
import { rawRequest } from "./raw-request.ts";

/** The raw endpoint with sockets in memory and real tokens. */
export class RawRig extends ClientList {
	seconds = 1000;
	readonly hub = new Hub();
	readonly topics = new FakeTopics();
	readonly live: LiveConfig;
	readonly endpoint: RawEndpoint;
	readonly userLimit: UserLimit;
	readonly #tokens: Verifiers;
	/** All tokens are revoked once they have been checked. */
	isRevoked = false;
	/** The user that the server does not admit; null = none. */
	blocked: string | null = null;
	readonly presence = new Presence();
	/** Joins and leaves, such as "join a ann". */
	readonly announced: string[] = [];
	/** The channels of each message, and the user that its receivers see; undefined = they see none. */
	readonly published: (readonly [readonly string[], string | undefined])[] = [];

	constructor(values: Partial<Config>) {
		super();
		const config = defaultConfig({ maxBufferedBytes: FakeTransport.bufferedBytesMax, ...values });
		const { row, hub, check } = this;
		this.live = new LiveConfig(config);
		this.#tokens = new Verifiers(config, silentLog());
		const openTable = () => AddressTable.inMemory(100);
		this.userLimit = new UserLimit({ config, slot: 0, openTable, counters: row, clients: () => this.sessions.all });
		this.endpoint = new RawEndpoint({
			sessions: this.sessions,
			hub,
			senders: new SenderIds<ClientSession>(),
			incoming: {
				fromClient: (_client, _kind, { names }, _payload, details) => {
					this.published.push([names, details?.info && decodePublisherInfo(details.info).user]);
					return publishAccepted;
				},
			},
			check,
			options: { config, row },
			live: this.live,
			tokens: () => this.#tokens.connection,
			members: {
				presence: () => this.presence,
				announce: (type, channel, info) => {
					const { user, chanInfo } = decodePublisherInfo(info);
					const about = chanInfo === undefined ? "" : ` ${Buffer.from(chanInfo).toString()}`;
					this.announced.push(`${type === RecordType.join ? "join" : "leave"} ${channel} ${user}${about}`);
				},
			},
			revocations: () => ({ isBlocked: (user) => user === this.blocked, isRevoked: () => this.isRevoked }),
			userLimit: () => this.userLimit,
			now: () => this.seconds,
			unixTime: () => Date.now() / 1000 + this.seconds - 1000,
		});
	}

	/** @returns the session of a client that is let in, not opened; or the answer to one that is not. */
	async connect(query: string, headers: Readonly<Record<string, string>> = {}): Promise<RawSession | Reply> {
		const request = rawRequest(query);
		const outcome = this.endpoint.connect({ ...request, head: { ...request.head, header: (name) => headers[name] ?? "" } });
		const decided = "decided" in outcome ? (await outcome.decided)() : outcome;
		return "refused" in decided ? decided.refused : (decided.session as RawSession);
	}

	/** Like `connect`, but opens the session. */
	async ask(query: string, headers: Readonly<Record<string, string>> = {}): Promise<RawSession | Reply> {
		const answer = await this.connect(query, headers);
		if ("status" in answer) return answer;
		answer.opened(new FakeTransport(this.topics, answer));
		return answer;
	}

	/** Its channels, or the status of the answer. */
	async hears(query: string, headers?: Readonly<Record<string, string>>): Promise<readonly string[] | number> {
		const answer = await this.ask(query, headers);
		return "status" in answer ? answer.status : answer.channels;
	}

	reload(values: Partial<Config>): void {
		const next = { ...this.live.config, ...values };
		const [live, endpoint] = [this.live.prepare(next), this.endpoint.reload(next)];
		live();
		endpoint();
	}

	/** Whatever is still kept of clients. */
	get kept(): number {
		const { channelSets, connected, senders, expiry } = this.endpoint;
		return (
			this.sessions.count +
			channelSets.count +
			channelSets.subscriptions +
			senders.count +
			expiry.count +
			connected.count +
			this.admitted +
			this.presence.channelCount
		);
	}
}
