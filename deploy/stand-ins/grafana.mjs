// In the place of Grafana where there is none: reads what would be provisioned, as the user and through the mounts that Grafana
// has, writes to its volume, and answers /api/health. It draws nothing.
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const everything = (directory) => readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const read = (entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), "utf8");
for (const entry of everything("/etc/grafana/provisioning")) read(entry);
for (const entry of everything("/etc/grafana/dashboards")) console.log(`dashboard: ${JSON.parse(read(entry)).title}`);
accessSync("/var/lib/grafana", constants.W_OK);

const server = createServer((request, response) => {
	response.writeHead(request.url === "/api/health" ? 200 : 501).end("a stand-in, not Grafana\n");
}).listen(3000);
process.once("SIGTERM", () => server.close(() => process.exit(0)).closeAllConnections());
