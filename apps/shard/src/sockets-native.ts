import "./sockets-environment.ts";
import type { us_listen_socket } from "uWebSockets.js";

export {
	App,
	DISABLED,
	type HttpRequest,
	type HttpResponse,
	LIBUS_LISTEN_EXCLUSIVE_PORT,
	type us_listen_socket,
	us_listen_socket_close,
	type us_socket_context_t,
	us_socket_local_port,
	type WebSocketBehavior,
} from "uWebSockets.js";

// What the library has and its own declarations lack.
declare module "uWebSockets.js" {
	interface TemplatedApp {
		/** Serves a connection that was accepted elsewhere; the descriptor is the app's from now on. */
		adoptSocket(descriptor: number): TemplatedApp;
		listen(host: string, port: number, options: number, callback: (socket: us_listen_socket | false) => void): TemplatedApp;
	}
	const LIBUS_LISTEN_EXCLUSIVE_PORT: number;
	const DISABLED: number;
}
