import { Centrifuge } from "centrifuge";
import { WebSocket } from "ws";

export { Centrifuge } from "centrifuge";

/** A client of npm centrifuge that connects again at once, as a browser's would after a while. Not connected yet. */
export function connectCentrifuge(url: string): Centrifuge {
	return new Centrifuge(`${url}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 500 });
}
