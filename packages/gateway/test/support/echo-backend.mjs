// A backend as a process: gives back all frames but those of the gateway itself. Writes its port when it listens. `node echo-backend.mjs <port>`
import { createServer } from "node:net";

const server = createServer({ noDelay: true }, (socket) => {
	let rest = Buffer.alloc(0);
	socket.on("error", () => socket.destroy());
	socket.on("data", (piece) => {
		rest = Buffer.concat([rest, piece]);
		while (rest.length >= 12 && rest.length >= 12 + rest.readUInt32BE()) {
			const end = 12 + rest.readUInt32BE();
			if (rest[12] !== 0) socket.write(rest.subarray(0, end));
			rest = rest.subarray(end);
		}
	});
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => process.stdout.write(`listening on ${server.address().port}\n`));
