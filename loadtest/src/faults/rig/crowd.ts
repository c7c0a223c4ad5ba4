import { Followers } from "../clients/followers.ts";
import type { KafkaPublisher } from "../clients/kafka-publisher.ts";
import { HttpPublisher, type NumberedSource } from "../clients/publisher.ts";
import { RawClients } from "../clients/raw-clients.ts";
import type { Tally } from "../oracle.ts";

const channels = ["kept:a", "kept:b"];
const followers = 6;
const rawClients = 6;
const rawSenders = 2;
const publishEveryMs = 40;

interface CrowdOptions {
	readonly url: string;
	readonly httpUrl: string;
	readonly tally: Tally;
	readonly mayForget: () => boolean;
	readonly kafka: KafkaPublisher | null;
}

/** All clients of a run: publishers over HTTP and Kafka, followers that recover, raw clients. */
export class Crowd {
	readonly publishers: readonly HttpPublisher[];
	readonly followers: Followers;
	readonly raw: RawClients;
	readonly #sources: readonly NumberedSource[];

	constructor({ url, httpUrl, tally, mayForget, kafka }: CrowdOptions) {
		this.publishers = channels.map((channel) => new HttpPublisher(httpUrl, channel, publishEveryMs));
		this.#sources = kafka === null ? this.publishers : [...this.publishers, kafka];
		const run = Math.random().toString(36).slice(2, 8);
		const followed = this.#sources.map((source) => ({ channel: source.channel, hasKafkaOffsets: source === kafka }));
		this.followers = new Followers(url, followers, followed, tally, mayForget);
		this.raw = new RawClients(url, rawClients, rawSenders, run, tally);
	}

	/** WebSockets that it has when all are connected. */
	get connections(): number {
		return this.followers.count + this.raw.count;
	}

	/** Gives a question: whether every client is connected and has got something that was sent after this call, from each source and sender. */
	serves(): () => boolean {
		const sources = this.#sources.map((source) => ({ source, after: source.acknowledged }));
		const raw = this.raw.marks();
		return () =>
			this.followers.areSubscribed &&
			this.raw.areOpen &&
			this.raw.haveFrom(raw) &&
			sources.every(({ source, after }) => this.followers.lastOf(source.channel) > after);
	}

	/** Why `serves` is not true yet, for people. */
	state(): string {
		const sources = this.#sources.map(
			({ channel, acknowledged }) => `${channel} acknowledged ${acknowledged}, the last follower has ${this.followers.lastOf(channel)}`,
		);
		const failures = this.publishers.flatMap((publisher) => [...publisher.failures].slice(-3).map(([what, count]) => `${count} × ${what}`));
		return [
			`followers ${this.followers.areSubscribed ? "subscribed" : "not all subscribed"}`,
			`raw clients ${this.raw.areOpen ? "open" : "not all open"}`,
			...sources,
			...failures,
		].join("; ");
	}

	/** No more publications. Those that were acknowledged are still to come. */
	async stopPublishing(): Promise<void> {
		await Promise.all(this.#sources.map((source) => source.stop()));
	}

	/** Whether every follower has all that was acknowledged. */
	get hasAll(): boolean {
		return this.#sources.every((source) => this.followers.lastOf(source.channel) >= source.acknowledged);
	}

	close(): void {
		this.followers.close();
		this.raw.close();
	}
}
