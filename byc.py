import socket,sys,time,threading
s=socket.create_server(("127.0.0.1",7000)); c=socket.create_connection(("127.0.0.1",7000)); a=s.accept()[0]
print("up",flush=True)
threading.Thread(target=lambda:[a.recv(65536) for _ in range(10**6)],daemon=True).start()
end=time.time()+25
while time.time()<end: c.sendall(b"x"*10000); time.sleep(0.01)
