import { connect, isIP, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ISocketFactory, ISocketFactoryArgs } from "kafkajs";

const keepAliveMs = 60_000;

/** A socket to a broker, plain or TLS, as kafkajs itself would open it, but for what kafkajs does to a closed one. */
export function openBrokerSocket({ host, port, ssl, onConnect }: ISocketFactoryArgs, onread?: OnReadOpts): Socket {
	const to = { host, port, ...(onread === undefined ? {} : { onread }) };
	const name = isIP(host) ? {} : { servername: host };
	const socket: Socket = ssl ? connectTls({ ...to, ...name, ...ssl }, onConnect) : connect(to, onConnect);
	socket.setKeepAlive(true, keepAliveMs);
	// While a broker is away kafkajs ends its connections again at each attempt, and `unref` on a closed socket waits for a "connect"
	// that never comes: another listener every time, for as long as the broker is away.
	socket.once("close", () => {
		socket.unref = () => socket;
	});
	return socket;
}

/** For kafkajs' `socketFactory`, where nothing is read past it. */
export const plainSockets: ISocketFactory = (options) => openBrokerSocket(options);
