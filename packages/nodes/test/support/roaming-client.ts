import { Centrifuge, type Subscription } from "centrifuge";
import { WebSocket } from "ws";

/** The client's own longest delay before it connects again. */
const backOffMsMax = 200;

/** A client that knows the URLs of all nodes: when a connection ends or fails, it tries the next one. */
export class RoamingClient {
	readonly client: Centrifuge;
	readonly subscription: Subscription;
	/** How often it was connected. */
	connects = 0;
	/** Why its connections ended. */
	readonly codes: number[] = [];
	/** Times that it lost its place. */
	unrecovered = 0;
	/** Number of moves: the node is the one at this index, over and over. */
	at: number;
	/** When it was subscribed again, by `performance.now()`. */
	subscribedMs = 0;

	/** @param urls of the balancers; looked up at each attempt. @param first index of the node to begin with. */
	constructor(urls: () => readonly string[], first: number, channel: string) {
		this.at = first;
		const next = () => urls()[this.at % urls().length]!;
		class NodeWebSocket extends WebSocket {
			constructor(_: string, protocols: string[]) {
				super(`${next()}/connection/websocket`, protocols);
			}
		}
		this.client = new Centrifuge("ws://any/connection/websocket", {
			websocket: NodeWebSocket,
			minReconnectDelay: 20,
			maxReconnectDelay: backOffMsMax,
		});
		this.client.on("connected", () => this.connects++);
		this.client.on("connecting", ({ code }) => {
			if (code === 0) return;
			this.codes.push(code);
			this.at++;
		});
		this.client.on("error", ({ type }) => {
			if (type === "transport") this.at++;
		});
		this.subscription = this.client.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: backOffMsMax });
		this.subscription.on("subscribed", ({ wasRecovering, recovered }) => {
			this.subscribedMs = performance.now();
			if (wasRecovering && !recovered) this.unrecovered++;
		});
		this.subscription.subscribe();
		this.client.connect();
	}
}
