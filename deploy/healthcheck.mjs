// The container's health check: exit status 0 while /health says healthy or degraded, 1 otherwise (with the reasons on stderr).
// A degraded cluster still serves, so it must not be restarted for it. Node does the request since the image has no curl.
import process from "node:process";

const address = process.env.SHARDCAST_LB_ADDR ?? ":3005";
const port = address.slice(address.lastIndexOf(":") + 1);

try {
	const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(2500) });
	const { status, reasons } = await response.json();
	if (response.ok) process.exit(0);
	console.error(`${status}: ${reasons.join("; ")}`);
} catch (error) {
	console.error(`no answer from 127.0.0.1:${port}: ${error.cause?.message ?? error.message}`);
}
process.exit(1);
