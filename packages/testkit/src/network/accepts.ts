import { connect } from "node:net";

/** Whether something listens on this port of 127.0.0.1 and accepts a connection, which is closed at once. */
export function accepts(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1");
		socket.once("connect", () => {
			socket.destroy();
			resolve(true);
		});
		socket.once("error", () => resolve(false));
	});
}
