//! The threads: one owns the write connection, each other one a reader.

use crate::{DatabaseError, QUEUE_JOBS};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{Builder, JoinHandle},
};
use tokio::sync::{mpsc, oneshot};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The queues and the threads behind them.
pub(crate) struct Threads {
    queues: Mutex<Option<Queues>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Queues {
    write: mpsc::Sender<Job>,
    read: mpsc::Sender<Job>,
}

impl Threads {
    pub(crate) fn start(writer: Connection, readers: Vec<Connection>) -> Result<Self, DatabaseError> {
        let (write, write_jobs) = mpsc::channel(QUEUE_JOBS);
        let (read, read_jobs) = mpsc::channel(QUEUE_JOBS);
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        let mut handles = vec![spawn("db-write", move || run_writer(writer, write_jobs))?];
        for reader in readers {
            let jobs = Arc::clone(&read_jobs);
            handles.push(spawn("db-read", move || run_reader(reader, &jobs))?);
        }
        Ok(Self { queues: Mutex::new(Some(Queues { write, read })), handles: Mutex::new(handles) })
    }

    pub(crate) async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let queue = self.queues()?.write;
        ask(queue, |connection| in_transaction(connection, TransactionBehavior::Immediate, f)).await
    }

    pub(crate) async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let queue = self.queues()?.read;
        ask(queue, |connection| in_transaction(connection, TransactionBehavior::Deferred, f)).await
    }

    /// Ends the queues and waits for the threads. Blocks.
    pub(crate) fn close(&self) {
        locked(&self.queues).take();
        let handles = std::mem::take(&mut *locked(&self.handles));
        for handle in handles {
            // The last clone may be dropped by a job, on one of these threads: it cannot wait for itself.
            if handle.thread().id() != std::thread::current().id() && handle.join().is_err() {
                tracing::error!("a database thread panicked");
            }
        }
    }

    fn queues(&self) -> Result<Queues, DatabaseError> {
        locked(&self.queues).clone().ok_or(DatabaseError::Closed)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.close();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DatabaseError> {
    Builder::new().name(name.to_owned()).spawn(body).map_err(DatabaseError::Thread)
}

async fn ask<T, E>(queue: mpsc::Sender<Job>, f: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DatabaseError> + Send + 'static,
{
    let (answer, wait) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        // Nobody waits any more when the caller's future was dropped.
        let _ = answer.send(f(connection));
    });
    queue.send(job).await.map_err(|_| DatabaseError::Closed)?;
    drop(queue);
    wait.await.unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
}

fn in_transaction<T, E, F>(connection: &mut Connection, behaviour: TransactionBehavior, f: F) -> Result<T, E>
where
    F: FnOnce(&Transaction<'_>) -> Result<T, E>,
    E: From<DatabaseError>,
{
    let transaction = connection.transaction_with_behavior(behaviour).map_err(DatabaseError::from)?;
    // Dropped on `Err`, a transaction rolls back.
    let value = f(&transaction)?;
    transaction.commit().map_err(DatabaseError::from)?;
    Ok(value)
}

fn run(job: Job, connection: &mut Connection) {
    // A panic has dropped the transaction, which rolled back, and the answer's sender, which tells the caller.
    if catch_unwind(AssertUnwindSafe(|| job(connection))).is_err() {
        tracing::error!("a database job panicked");
    }
}

fn run_writer(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        run(job, &mut connection);
    }
    if let Err(error) = connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::debug!(error = %weir_telemetry::Chain(&error), "the write-ahead log is folded in at the next start");
    }
}

fn run_reader(mut connection: Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = locked(jobs).blocking_recv();
        match job {
            Some(job) => run(job, &mut connection),
            None => return,
        }
    }
}
