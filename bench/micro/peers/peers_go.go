// The column of Go: prints what one row costs, as JSON. The rows are those of rows.hpp; CPU is that
// of the process, the collector's included.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	many            = 1000
	channelCapacity = 64
	mutexUsers      = 4
)

func fail(err error) {
	fmt.Fprintf(os.Stderr, "peers-go: %v\n", err)
	os.Exit(1)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Counts operations for a while, after as long again to warm up.
type meter struct {
	length     time.Duration
	begin      time.Time
	warm       bool
	operations int
	cpu        time.Duration
}

// Says whether to go on; the caller has done so many operations since it was asked last.
func (m *meter) more(done int) bool {
	now := time.Now()
	switch {
	case m.begin.IsZero():
		m.begin = now
	case m.warm:
		m.operations += done
		if now.Sub(m.begin) >= m.length {
			m.cpu = cpuTime() - m.cpu
			return false
		}
	case now.Sub(m.begin) >= m.length:
		m.warm = true
		m.begin = now
		m.cpu = cpuTime()
	}
	return true
}

func (m *meter) perOperation() float64 {
	return float64(m.cpu.Nanoseconds()) / float64(m.operations)
}

func yieldAmong(m *meter, count int, random bool) {
	running := true
	var others sync.WaitGroup
	gates := make([]chan struct{}, count-1)
	order := make([]int, count-1)
	for i := range gates {
		gate := make(chan struct{}, 1)
		gates[i] = gate
		order[i] = i
		others.Add(1)
		go func() {
			defer others.Done()
			<-gate
			for running {
				runtime.Gosched()
			}
		}()
	}
	runtime.Gosched() // all have come to their gates
	if random {
		rand.New(rand.NewSource(1)).Shuffle(len(order), func(i, k int) {
			order[i], order[k] = order[k], order[i]
		})
	}
	for _, each := range order {
		gates[each] <- struct{}{}
	}
	rounds := 1 + 16384/count
	for m.more(rounds * count) {
		for i := 0; i < rounds; i++ {
			runtime.Gosched()
		}
	}
	running = false
	others.Wait()
}

func spawnAndJoin(m *meter, count, rounds int) {
	var tasks sync.WaitGroup
	for m.more(rounds * count) {
		for round := 0; round < rounds; round++ {
			tasks.Add(count)
			for i := 0; i < count; i++ {
				go tasks.Done()
			}
			tasks.Wait()
		}
	}
}

func roundTrip(m *meter) {
	there, back := make(chan int), make(chan int)
	go func() {
		for value := range there {
			back <- value
		}
		close(back)
	}()
	for m.more(many) {
		for i := 0; i < many; i++ {
			there <- 1
			<-back
		}
	}
	close(there)
	<-back
}

func bufferedItem(m *meter) {
	items, ended := make(chan int, channelCapacity), make(chan struct{})
	go func() {
		for range items {
		}
		close(ended)
	}()
	for m.more(many) {
		for i := 0; i < many; i++ {
			items <- 1
		}
	}
	close(items)
	<-ended
}

// A sync.Mutex may be taken by another before the one that it woke runs: each turn is counted,
// whoever has it.
func mutexHandOff(m *meter) {
	var lock sync.Mutex
	var others sync.WaitGroup
	running, turns := true, 0
	turn := func() {
		lock.Lock()
		runtime.Gosched()
		turns++
		lock.Unlock()
	}
	for i := 1; i < mutexUsers; i++ {
		others.Add(1)
		go func() {
			defer others.Done()
			for running {
				turn()
			}
		}()
	}
	last := 0
	for counted := 0; m.more(counted); {
		for i := 0; i < many; i++ {
			turn()
		}
		counted, last = turns-last, turns
	}
	running = false
	others.Wait()
}

func sleepOf(m *meter, sleepers int, brief bool) {
	warmUp, length := time.Second, 3*time.Second
	if brief {
		warmUp, length = 100*time.Millisecond, 100*time.Millisecond
	}
	sleeps := 0
	for i := 0; i < sleepers; i++ {
		random := uint64(i + 1)
		go func() {
			for {
				random = random * 48271 % 2147483647
				time.Sleep(time.Duration(1+random%1000) * time.Millisecond)
				sleeps++
			}
		}()
	}
	time.Sleep(warmUp)
	before, cpu := sleeps, cpuTime()
	time.Sleep(length)
	m.cpu = cpuTime() - cpu
	m.operations = sleeps - before
}

func main() {
	// Also what makes it right to share variables between goroutines: they take turns.
	runtime.GOMAXPROCS(1)
	brief := flag.Bool("brief", false, "measure for a short time")
	flag.Parse()
	m := &meter{length: 200 * time.Millisecond}
	if *brief {
		m.length = 10 * time.Millisecond
	}
	rows := map[string]func(){
		"yield_among_2":                       func() { yieldAmong(m, 2, false) },
		"yield_among_100":                     func() { yieldAmong(m, 100, false) },
		"yield_among_10000":                   func() { yieldAmong(m, 10000, false) },
		"yield_among_10000_in_random_order":   func() { yieldAmong(m, 10000, true) },
		"spawn_and_join_one_by_one":           func() { spawnAndJoin(m, 1, many) },
		"spawn_and_join_1000_at_once":         func() { spawnAndJoin(m, many, 1) },
		"round_trip_over_unbuffered_channels": func() { roundTrip(m) },
		"item_through_a_channel_of_64":        func() { bufferedItem(m) },
		"hand_off_of_a_mutex_among_4":         func() { mutexHandOff(m) },
		"sleep_of_10000_sleepers":             func() { sleepOf(m, 10000, *brief) },
		"sleep_of_100000_sleepers":            func() { sleepOf(m, 100000, *brief) },
	}
	measure, known := rows[flag.Arg(0)]
	if !known || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "peers-go: exactly one argument is accepted, a row of bench/micro/peers/rows.hpp")
		os.Exit(2)
	}
	measure()
	fmt.Printf("{\"row\": \"%s\", \"cpu_ns\": %.2f}\n", flag.Arg(0), m.perOperation())
}
