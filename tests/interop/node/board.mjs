// Bull Board over one queue, on a port of its own choice: `node board.mjs <host:port of the server> <queue>` prints it.

import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ExpressAdapter } from '@bull-board/express'
import { Queue } from 'bullmq'
import express from 'express'

const [host, port] = process.argv[2].split(':')
const queue = new Queue(process.argv[3], { connection: { host, port: Number(port) } })
const pages = new ExpressAdapter()
pages.setBasePath('/board')
createBullBoard({ queues: [new BullMQAdapter(queue)], serverAdapter: pages })
const app = express()
app.use('/board', pages.getRouter())
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit(0)).resume()
