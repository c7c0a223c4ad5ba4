export interface AudienceOptions {
	readonly connections: number;
	readonly senders: number;
	/** The senders are the first of the connections (WebSocket source). */
	readonly sendersListen: boolean;
	/** Then they get their own messages back (false). */
	readonly echoes?: boolean;
	/** 0 = broadcast: everybody gets everything. */
	readonly channels: number;
	/** Over which the clients are spread (1). */
	readonly nodes?: number;
	/** One of several load tests that load the same servers at the same time. */
	readonly generator?: GeneratorPlace;
}

/** Which of several load tests this is: 0 … `count - 1`. They take different numbers for senders, and for channels if each has some. */
export interface GeneratorPlace {
	readonly index: number;
	readonly count: number;
}

/** Senders of one load test are numbered from a multiple of this, in their messages. */
const sendersPerGenerator = 1_000_000;
const channelsPerGenerator = 1_000_000;
/** Of a message of another load test: nothing is known of it, and its clock may be another. */
export const foreignSender = -2;

/**
 * Who is to get what. Clients and senders are numbered over the whole load test; with channels each client listens to one
 * and each sender sends to one. The senders that one client may hear are its *slots* 0, 1, …: with 1,000 channels of one
 * sender each, a client's checker needs one slot, not 1,000.
 */
export class Audience {
	readonly connections: number;
	readonly senders: number;
	readonly channels: number;
	/** Most senders that one client hears. */
	readonly slots: number;
	readonly nodes: number;
	readonly #sendersListen: boolean;
	readonly #echoes: boolean;
	readonly #generator: GeneratorPlace;

	constructor({ connections, senders, sendersListen, echoes = false, channels, nodes = 1, generator }: AudienceOptions) {
		this.#generator = generator ?? { index: 0, count: 1 };
		this.connections = connections;
		this.senders = senders;
		this.channels = channels;
		this.slots = channels === 0 ? senders : Math.ceil(senders / channels);
		this.nodes = nodes;
		this.#sendersListen = sendersListen;
		this.#echoes = echoes;
	}

	/** A sender's number in its messages. */
	numberOfSender(sender: number): number {
		return this.#generator.index * sendersPerGenerator + sender;
	}

	/** The sender that has this number in its messages; `foreignSender` for one of another load test. */
	ownSender(number: number): number {
		const { index, count } = this.#generator;
		if (count === 1) return number;
		const generator = Math.floor(number / sendersPerGenerator);
		if (generator === index) return number % sendersPerGenerator;
		return generator < count ? foreignSender : number;
	}

	/** A channel's number in its name. Load tests with one channel, that of all, share it. */
	channelNumber(channel: number): number {
		return channel < 0 || this.channels === 1 ? channel : this.#generator.index * channelsPerGenerator + channel;
	}

	/** How many of the clients, from 0 on, are the senders. */
	get senderClients(): number {
		return this.#sendersListen ? this.senders : 0;
	}

	/** The channel that a client listens to; -1 = to everything. */
	channelOfClient(client: number): number {
		if (this.channels === 0) return -1;
		return client < this.senderClients ? this.channelOfSender(client) : (client - this.senderClients) % this.channels;
	}

	/** The node that a client connects to: in turn, so that the clients of one channel are on different nodes. */
	nodeOfClient(client: number): number {
		if (this.channels === 0 || client < this.senderClients) return client % this.nodes;
		const inChannel = Math.floor((client - this.senderClients) / this.channels);
		return (this.channelOfClient(client) + inChannel) % this.nodes;
	}

	channelOfSender(sender: number): number {
		return this.channels === 0 ? -1 : sender % this.channels;
	}

	/** Where `client` notes messages of `sender`; -1 when it must not get them. */
	slotOf(client: number, sender: number): number {
		if (sender >= this.senders || (this.#sendersListen && !this.#echoes && client === sender)) return -1;
		if (this.channels === 0) return sender;
		return sender % this.channels === this.channelOfClient(client) ? Math.floor(sender / this.channels) : -1;
	}

	/** How many messages `client` should have got in `slot`, given how many each sender has sent. */
	expected(client: number, slot: number, sent: ArrayLike<number>): number {
		const sender = this.channels === 0 ? slot : slot * this.channels + this.channelOfClient(client);
		return this.slotOf(client, sender) === slot ? sent[sender] : 0;
	}

	/** How many clients get a message of `sender`. */
	listenersOf(sender: number): number {
		const own = this.#sendersListen && !this.#echoes ? 1 : 0;
		if (this.channels === 0) return this.connections - own;
		const channel = this.channelOfSender(sender);
		const inChannel = (count: number): number => Math.floor(count / this.channels) + (channel < count % this.channels ? 1 : 0);
		return inChannel(this.senderClients) + inChannel(this.connections - this.senderClients) - own;
	}
}

/** Channel names as the clients and senders spell them. */
export function channelName(channel: number): string {
	return `load.${channel}`;
}
