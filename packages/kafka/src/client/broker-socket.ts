import { connect, isIP, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ISocketFactory, ISocketFactoryArgs } from "kafkajs";

const keepAliveMs = 60_000;

/** Opens a socket to a broker, plain or TLS, like kafkajs does, and works around a listener leak in kafkajs. */
export function openBrokerSocket({ host, port, ssl, onConnect }: ISocketFactoryArgs, onread?: OnReadOpts): Socket {
	const to = { host, port, ...(onread === undefined ? {} : { onread }) };
	const name = isIP(host) ? {} : { servername: host };
	const socket: Socket = ssl ? connectTls({ ...to, ...name, ...ssl }, onConnect) : connect(to, onConnect);
	socket.setKeepAlive(true, keepAliveMs);
	// While a broker is unreachable, kafkajs ends its old connections again on each attempt. `unref` on a closed socket adds a listener for a
	// "connect" event that never comes, one more each time.
	socket.once("close", () => {
		socket.unref = () => socket;
	});
	return socket;
}

/** A `socketFactory` for kafkajs whose answers do not bypass it. */
export const plainSocketFactory: ISocketFactory = (options) => openBrokerSocket(options);
