// Receives descriptors on the socket given. "answer": writes its pid into each connection and closes it.
// "starve": takes one message with hardly any descriptor left to open, and tells how that failed.
import { readdirSync, writeSync } from "node:fs";
import { closeDescriptor, DescriptorChannel, duplicate } from "@shardcast/native";

const [path, what] = process.argv.slice(2);
const channel = DescriptorChannel.bind(path);
const openDescriptors = () => readdirSync("/proc/self/fd").length;

function answer() {
	for (const fd of channel.receive()) {
		writeSync(fd, String(process.pid));
		closeDescriptor(fd);
	}
}

function starve() {
	const hoard = [];
	try {
		for (;;) hoard.push(duplicate(0));
	} catch (error) {
		if (error.code !== "EMFILE") throw error;
	}
	for (const fd of hoard.splice(0, 8)) closeDescriptor(fd);
	const outcomes = [];
	for (let round = 0; round < 2; round++) {
		try {
			outcomes.push(channel.receive().length);
		} catch (error) {
			outcomes.push(`${error.code}: ${error.message}`);
		}
	}
	for (const fd of hoard) closeDescriptor(fd);
	process.send({ outcomes, open: openDescriptors() });
	process.disconnect();
}

process.on("message", what === "answer" ? answer : starve);
process.send({ bound: true, open: openDescriptors() });
